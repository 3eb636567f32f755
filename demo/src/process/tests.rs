//! An instance that is told what it is through pipes, here those of a test.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use tokio::io::{DuplexStream, duplex};

use super::*;
use crate::http::Client;
use crate::testing::collector;

/// More than any of these says before it is heard.
const ROOM: usize = 1 << 16;

/// The ends of the pipes of an instance that runs, and its task.
struct Told {
    input: DuplexStream,
    said: Lines<BufReader<DuplexStream>>,
    serving: JoinHandle<Result<()>>,
}

impl Told {
    fn new() -> Self {
        let (input, its_input) = duplex(ROOM);
        let (its_output, output) = duplex(ROOM);
        let serving = tokio::spawn(serve_instance(BufReader::new(its_input), its_output));
        let said = BufReader::new(output).lines();
        Self { input, said, serving }
    }

    async fn begun(service: Service, fault: Option<Fault>, tracing_server: SocketAddr) -> (Self, SocketAddr) {
        let mut told = Self::new();
        let begin = Begin {
            service: service.name().to_owned(),
            fault: fault.map(|fault| fault.name().to_owned()),
            seed: 7,
            tracing_server,
        };
        say(&mut told.input, &begin).await.unwrap();
        let Said::Listening(address) = told.hears().await else {
            panic!("it does not say where it is");
        };
        (told, address)
    }

    async fn hears(&mut self) -> Said {
        let line = self.said.next_line().await.unwrap().unwrap();
        understood(&line).unwrap()
    }

    /// What it said last, and what it ended with, once it has nobody to tell it anything.
    async fn ended(mut self) -> (Said, Result<()>) {
        drop(self.input);
        let mut last = None;
        while let Some(line) = self.said.next_line().await.unwrap() {
            last = Some(understood(&line).unwrap());
        }
        (last.unwrap(), self.serving.await.unwrap())
    }
}

async fn asked(address: SocketAddr, path: &str) -> StatusCode {
    let client = Client::new();
    let answer = client.send(address, Method::GET, path, HeaderMap::new(), Bytes::new());
    answer.await.unwrap().status
}

#[tokio::test]
async fn an_instance_is_what_it_is_told_and_says_what_became_of_its_spans() {
    let (tracing_server, spans) = collector().await;
    let (told, address) = Told::begun(Service::Warehouse, Some(Fault::SlowCallee), tracing_server).await;
    for _ in 0..3 {
        assert_eq!(asked(address, "/level").await, StatusCode::OK);
    }
    let (last, ended) = told.ended().await;
    ended.unwrap();
    assert!(matches!(last, Said::Delivered { sent: 3, lost: 0 }), "{last:?}");
    let spans = std::mem::take(&mut *spans.lock());
    let versions: Vec<&str> = spans
        .iter()
        .filter_map(|span| span["tags"]["version"].as_str())
        .collect();
    assert_eq!(versions, ["2.8.0"; 3]);
    let address = tokio::net::TcpStream::connect(address).await;
    assert!(address.is_err(), "it serves without anybody who wants it to");
}

#[tokio::test]
async fn an_instance_finds_others_where_it_is_told_that_they_are() {
    let (tracing_server, _) = collector().await;
    let (pricing, price) = Told::begun(Service::Pricing, None, tracing_server).await;
    let (warehouse, level) = Told::begun(Service::Warehouse, None, tracing_server).await;
    let (mut inventory, stock) = Told::begun(Service::Inventory, None, tracing_server).await;
    assert_eq!(asked(stock, "/stock").await, StatusCode::BAD_GATEWAY);
    let directory = Directory::default();
    directory.add(Service::Pricing, price);
    directory.add(Service::Warehouse, level);
    for service in Service::ALL {
        let moved = Moved::of(service, &directory);
        say(&mut inventory.input, &moved).await.unwrap();
    }
    // It is told before the line after the next word about its spans.
    for _ in 0..2 {
        inventory.hears().await;
    }
    assert_eq!(asked(stock, "/stock").await, StatusCode::OK);
    for told in [inventory, pricing, warehouse] {
        told.ended().await.1.unwrap();
    }
}

/// An instance of which a shell says `says`, once it has heard who it is, and then ends.
async fn shell(says: &str, ended: &Arc<OnceLock<Service>>) -> Result<Process> {
    let program = Program {
        path: PathBuf::from("/bin/sh"),
        arguments: vec!["-c".to_owned(), format!("read line; {says}")],
    };
    let surroundings = Surroundings {
        directory: Arc::new(Directory::default()),
        delivery: Arc::new(Delivery::default()),
        tracing_server: ([127, 0, 0, 1], 1).into(),
        clock: Clock::start(),
        seed: 7,
    };
    Process::start(&program, Service::Pricing, Release::First, &surroundings, ended).await
}

#[tokio::test]
async fn a_process_that_ends_before_it_is_to_is_named() {
    let ended = Arc::default();
    let process = shell(r#"echo '{"Listening":"127.0.0.1:1"}'"#, &ended)
        .await
        .unwrap();
    process.hearing.await.unwrap();
    assert_eq!(ended.get(), Some(&Service::Pricing));
}

#[tokio::test]
async fn a_process_that_ends_when_it_is_to_is_not() {
    let ended = Arc::default();
    let process = shell(r#"echo '{"Listening":"127.0.0.1:1"}'; cat > /dev/null"#, &ended);
    process.await.unwrap().stop().await;
    assert_eq!(ended.get(), None);
}

#[tokio::test]
async fn a_process_that_does_not_say_where_it_is_is_told_of() {
    let said = shell("cat > /dev/null & exit 0", &Arc::default())
        .await
        .unwrap_err();
    assert_eq!(said.to_string(), "the process of pricing has ended");
    let said = shell("echo here; cat > /dev/null", &Arc::default())
        .await
        .unwrap_err();
    assert!(said.to_string().contains("\"here\""), "{said}");
}

#[tokio::test]
async fn what_is_not_understood_is_named() {
    for line in [
        "nonsense",
        r#"{"service":"sales","fault":null,"seed":7,"tracing_server":"127.0.0.1:1"}"#,
        r#"{"service":"web","fault":"rain","seed":7,"tracing_server":"127.0.0.1:1"}"#,
    ] {
        let mut told = Told::new();
        told.input.write_all(line.as_bytes()).await.unwrap();
        drop(told.input);
        let ended = told.serving.await.unwrap();
        let said = ended.unwrap_err().to_string();
        assert!(said.contains(&format!("{line:?}")), "{said}");
    }
}
