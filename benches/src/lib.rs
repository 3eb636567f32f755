//! How fast, how large, how sure: the seeded workload and the measurements on it.
//!
//! [`workload`] says what is sent, [`load`] sends it, [`ingest`] does so to the real server and writes down what
//! came of it, [`limits`] says what share that is of what the machine could do, [`transports`] sends by every way in,
//! [`kafka`] lets the server read it from a broker, [`overload`] offers the server more than it can take, [`hostile`] what
//! nobody should send, [`recover`] kills it and starts it again, [`store`] fills its store and asks questions, [`joining`]
//! sends while it seals and joins, [`retention`] fills it beyond its limit, [`compare`] puts storages ([`backend`]) under
//! the same server and [`diff`] tells what two such runs differ in, [`import`] imports and exports files, [`analysis`]
//! asks a store for reports of deployments and lists of operations, [`embedded`] is that store, [`rollouts`] makes
//! rollouts whose truth is known and counts who finds it. `README.md` beside this has the method. Nothing depends on this
//! package but tests of the real server, which post its rollouts.

pub mod analysis;
pub mod backend;
pub mod compare;
pub mod diff;
pub mod embedded;
pub mod hostile;
pub mod import;
pub mod ingest;
pub mod joining;
pub mod kafka;
pub mod limits;
pub mod overload;
pub mod recover;
pub mod retention;
pub mod rollouts;
pub mod store;
pub mod transports;
pub mod workload;

pub mod load;
pub mod machine;
pub mod options;
mod pace;
mod plot;
pub mod process;
mod progress;
pub mod server;
mod table;
