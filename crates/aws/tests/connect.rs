//! Where the clients come from: the standard environment variables, read by the SDK itself.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::process::Command;

use support::Stack;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const CHILD: &str = "what_a_process_with_that_environment_sees";

#[tokio::test]
async fn endpoints_region_and_credentials_come_from_the_environment() {
    let stack = Stack::start().await;
    let keys = [("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local")];
    see(&stack, &keys).await;
}

#[tokio::test]
async fn in_a_container_credentials_come_from_the_task_role() {
    let stack = Stack::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/credentials", listener.local_addr().unwrap());
    let role = tokio::spawn(give_credentials(listener));
    see(&stack, &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri)]).await;
    assert!(role.await.unwrap().starts_with("GET /credentials "));
}

/// A process' environment cannot be changed safely while it runs, so another one is asked.
async fn see(stack: &Stack, credentials: &[(&str, &str)]) {
    stack.queues(&["acme_spot"]).await;
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args([CHILD, "--exact", "--ignored"])
        .env_clear()
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ENDPOINT_URL_SQS", stack.broker.endpoint_url())
        .env("AWS_ENDPOINT_URL_DYNAMODB", stack.dynamodb.endpoint_url())
        .envs(credentials.iter().copied());
    let output = tokio::task::spawn_blocking(move || child.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    let tables = stack.aws.dynamodb.list_tables().send().await.unwrap();
    assert_eq!(tables.table_names(), ["child-cap-claims"]);
}

/// Answers one request as the ECS agent does, and tells what it was.
async fn give_credentials(listener: TcpListener) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = vec![0; 4_096];
    let length = stream.read(&mut request).await.unwrap();
    let body = r#"{"AccessKeyId":"role","SecretAccessKey":"role","Token":"role","Expiration":"2099-01-01T00:00:00Z"}"#;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    String::from_utf8_lossy(&request[..length]).into_owned()
}

#[tokio::test]
#[ignore = "run in a process of its own by the tests above"]
async fn what_a_process_with_that_environment_sees() {
    let aws = cap_aws::connect().await;
    let directory = cap_aws::QueueDirectory::load(aws.sqs, "").await.unwrap();
    assert!(directory.routes().of(cap_domain::routing::Channel::Outcome).count() > 0);
    cap_aws::DynamoClaims::new(aws.dynamodb, "child").create_table().await.unwrap();
}
