//! How fast the broker is. Run by hand: `cargo test --release -p cap-local --test sqs_rate --
//! --ignored --nocapture`.

mod sqs_support;

use std::{collections::HashMap, time::Instant};

use cap_local::sqs::{Broker, BrokerConfig, attributes::AttributeMap};
use sqs_support::Bench;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

const GROUPS: usize = 10_000;

fn report(what: &str, messages: usize, started: Instant) {
    let rate = messages as u128 * 1_000_000 / started.elapsed().as_micros().max(1);
    println!("{what}: {rate} messages/s");
}

#[test]
#[ignore = "a measurement"]
fn rate_of_the_queue_with_a_million_messages_waiting() {
    const WAITING: usize = 1_000_000;
    let mut bench = Bench::new();
    let groups: Vec<String> = (0..GROUPS).map(|number| format!("account-{number}")).collect();
    let started = Instant::now();
    for number in 0..WAITING {
        bench.send(&groups[number % GROUPS], "{\"kind\":\"fill\",\"amount\":\"12.50\"}");
    }
    report("send", WAITING, started);
    let started = Instant::now();
    for _ in 0..WAITING / 10 {
        for delivery in bench.receive(10) {
            bench.delete(&delivery);
        }
    }
    report("receive and delete, by ten", WAITING, started);
    assert_eq!(bench.counts().visible, 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn rate_over_http_in_batches_of_ten() {
    const CLIENTS: usize = 16;
    const BATCHES: usize = 200;
    let broker = Broker::start(BrokerConfig::default()).await.unwrap();
    let attributes = AttributeMap::from([("FifoQueue".to_owned(), "true".to_owned())]);
    let now = broker.clock().now_millis();
    broker.engine().create_queue("q.fifo", &attributes, AttributeMap::new(), now).unwrap();
    let started = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let address = broker.endpoint_url().replace("http://", "");
            tokio::spawn(async move {
                let mut connection = Connection::open(&address).await;
                let mut done = 0;
                for batch in 0..BATCHES {
                    connection.call("SendMessageBatch", &sends(client, batch)).await;
                    let body = r#"{"QueueUrl":"q.fifo","MaxNumberOfMessages":10}"#;
                    let received = connection.call("ReceiveMessage", body).await;
                    let deletes = deletes(&received);
                    done += deletes.1;
                    if deletes.1 > 0 {
                        connection.call("DeleteMessageBatch", &deletes.0).await;
                    }
                }
                done
            })
        })
        .collect();
    let mut done = 0;
    for client in clients {
        done += client.await.unwrap();
    }
    report("send, receive and delete over HTTP, clients included", done, started);
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        Self(BufReader::new(stream))
    }

    async fn call(&mut self, operation: &str, body: &str) -> String {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: q\r\nx-amz-target: AmazonSQS.{operation}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(head.as_bytes()).await.expect("written");
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.expect("a header");
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer).await.expect("a body");
        String::from_utf8(answer).expect("text")
    }
}

fn sends(client: usize, batch: usize) -> String {
    let entries: Vec<String> = (0..10)
        .map(|entry| {
            let group = (client * 7_919 + batch * 10 + entry) % GROUPS;
            format!(
                r#"{{"Id":"{entry}","MessageBody":"{{\"kind\":\"fill\",\"amount\":\"12.50\"}}","MessageGroupId":"account-{group}","MessageDeduplicationId":"{client}-{batch}-{entry}"}}"#
            )
        })
        .collect();
    format!(r#"{{"QueueUrl":"q.fifo","Entries":[{}]}}"#, entries.join(","))
}

fn deletes(received: &str) -> (String, usize) {
    let handles: HashMap<usize, &str> = received
        .split(r#""ReceiptHandle":""#)
        .skip(1)
        .map(|rest| &rest[..40])
        .enumerate()
        .collect();
    let entries: Vec<String> = handles
        .iter()
        .map(|(id, handle)| format!(r#"{{"Id":"{id}","ReceiptHandle":"{handle}"}}"#))
        .collect();
    (format!(r#"{{"QueueUrl":"q.fifo","Entries":[{}]}}"#, entries.join(",")), entries.len())
}
