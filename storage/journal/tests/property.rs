//! Random lives of a journal: whatever was done, an opening finds exactly the records from the checkpoint on.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use proptest::prelude::*;
use storage_journal::{Journal, JournalConfig, LossyDisk, Position};

type Records = Vec<(Position, Vec<u8>)>;

#[derive(Clone, Debug)]
enum Step {
    /// Appends records of these lengths and waits for all.
    Append(Vec<usize>),
    /// Sets the checkpoint at this share, in percent, of the records since the last.
    Checkpoint(usize),
    Close,
    Drop,
    /// Loses power, with a choice of what of the unsynced survives.
    Crash(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let lengths = prop::collection::vec(prop_oneof![0..40_usize, 0..3000_usize], 1..12);
    prop_oneof![
        8 => lengths.prop_map(Step::Append),
        2 => (0..=100_usize).prop_map(Step::Checkpoint),
        1 => Just(Step::Close),
        1 => Just(Step::Drop),
        2 => any::<u64>().prop_map(Step::Crash),
    ]
}

fn open(disk: &LossyDisk, config: &JournalConfig) -> (Journal, Records) {
    let mut records = Records::new();
    let (journal, _) = Journal::open(Arc::new(disk.clone()), config.clone(), &mut |position, bytes| {
        records.push((position, bytes));
        Ok(())
    })
    .unwrap();
    (journal, records)
}

/// Takes the steps; `model` is what the journal has to hold.
fn live(steps: Vec<Step>, config: &JournalConfig) -> Result<(), TestCaseError> {
    let mut disk = LossyDisk::new();
    let (mut journal, _) = open(&disk, config);
    let mut model = Records::new();
    let mut number = 0_u8;
    for step in steps {
        match step {
            Step::Append(lengths) => {
                let mut waiting = Vec::new();
                for length in lengths {
                    number = number.wrapping_add(1);
                    let pending = journal.append(vec![number; length]).unwrap();
                    model.push((pending.position(), vec![number; length]));
                    waiting.push(pending);
                }
                waiting.into_iter().for_each(|pending| pending.wait().unwrap());
                continue;
            }
            Step::Checkpoint(percent) => {
                let index = model.len() * percent / 100;
                let position = model.get(index).map_or(journal.end(), |record| record.0);
                journal.set_checkpoint(position).unwrap();
                model.drain(..index);
                continue;
            }
            Step::Close => journal.close().unwrap(),
            Step::Drop => {}
            Step::Crash(seed) => disk = disk.crash(seed),
        }
        drop(journal);
        let replayed;
        (journal, replayed) = open(&disk, config);
        prop_assert_eq!(&replayed, &model);
        let bytes: u64 = model
            .iter()
            .map(|record| (record.1.len() as u64 + 28).next_multiple_of(8))
            .sum();
        prop_assert_eq!(journal.stats().bytes, bytes);
        prop_assert!(model.last().is_none_or(|record| record.0 < journal.end()));
    }
    drop(journal);
    prop_assert_eq!(open(&disk, config).1, model);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_opening_finds_exactly_the_records_from_the_checkpoint_on(
        steps in prop::collection::vec(step(), 1..30),
        file_bytes in 0..9000_u64,
    ) {
        live(steps, &JournalConfig { file_bytes, ..JournalConfig::default() })?;
    }
}
