//! The AWS clients of a process: made once, at start, and shared.
//!
//! Region, credentials and endpoints come from the standard places (`AWS_REGION`,
//! `AWS_ENDPOINT_URL_SQS`, `AWS_ENDPOINT_URL_DYNAMODB`, credentials from the environment or the
//! ECS task role). Both services share one HTTP client and so its connections; every attempt is
//! bounded in time.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

/// The longest that SQS lets a receive wait.
pub const LONG_POLL_SECS_MAX: u32 = 20;

const CONNECT_SECS_MAX: u64 = 3;
/// One attempt at SQS: a full long poll, and time for its answer.
const SQS_ATTEMPT_SECS_MAX: u64 = LONG_POLL_SECS_MAX as u64 + 10;
/// One attempt at an SQS call that does not wait for messages.
const SQS_CALL_ATTEMPT_SECS_MAX: u64 = 10;
const DYNAMODB_ATTEMPT_SECS_MAX: u64 = 5;
/// How often the SDK tries a call, the first time included.
const ATTEMPTS_MAX: u32 = 3;
/// The longest wait before the second try, doubled before the third. The SDK's own is a second,
/// which is long for a lane that waits.
const BACK_OFF_MILLIS: u64 = 100;
/// Shorter than the minute after which load balancers drop silent connections.
const POOL_IDLE_SECS_MAX: u64 = 50;
/// Where the local stack says it is.
const LOCAL_REGION: &str = "eu-central-1";

/// The clients.
#[derive(Debug, Clone)]
pub struct Aws {
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
}

/// Clients as the environment says. Nothing is called yet, except for what tells credentials.
pub async fn connect() -> Aws {
    let shared = shared(aws_config::defaults(BehaviorVersion::latest())).await;
    Aws {
        sqs: aws_sdk_sqs::Client::from_conf(sqs(&shared).build()),
        dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb(&shared).build()),
    }
}

/// Clients of a local stack at these URLs, whatever the environment says. They sign with
/// credentials that AWS would refuse.
pub async fn connect_to(sqs_url: &str, dynamodb_url: &str) -> Aws {
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::from_static(LOCAL_REGION))
        .test_credentials();
    let shared = shared(loader).await;
    Aws {
        sqs: aws_sdk_sqs::Client::from_conf(sqs(&shared).endpoint_url(sqs_url).build()),
        dynamodb: aws_sdk_dynamodb::Client::from_conf(
            dynamodb(&shared).endpoint_url(dynamodb_url).build(),
        ),
    }
}

async fn shared(loader: ConfigLoader) -> aws_config::SdkConfig {
    let http = aws_smithy_http_client::Builder::new()
        .pool_idle_timeout(Duration::from_secs(POOL_IDLE_SECS_MAX))
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS_MAX)
        .with_initial_backoff(Duration::from_millis(BACK_OFF_MILLIS));
    loader
        .http_client(http)
        .retry_config(retries)
        // A long poll is a stream that stalls on purpose; the attempt's time limit guards it.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .load()
        .await
}

fn sqs(shared: &aws_config::SdkConfig) -> aws_sdk_sqs::config::Builder {
    aws_sdk_sqs::config::Builder::from(shared).timeout_config(timeouts(SQS_ATTEMPT_SECS_MAX))
}

fn dynamodb(shared: &aws_config::SdkConfig) -> aws_sdk_dynamodb::config::Builder {
    aws_sdk_dynamodb::config::Builder::from(shared)
        .timeout_config(timeouts(DYNAMODB_ATTEMPT_SECS_MAX))
}

fn timeouts(attempt_secs_max: u64) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(CONNECT_SECS_MAX))
        .operation_attempt_timeout(Duration::from_secs(attempt_secs_max))
        .build()
}

/// The same client for calls that answer at once.
pub(crate) fn for_calls(sqs: &aws_sdk_sqs::Client) -> aws_sdk_sqs::Client {
    let config = sqs.config().to_builder();
    aws_sdk_sqs::Client::from_conf(
        config.timeout_config(timeouts(SQS_CALL_ATTEMPT_SECS_MAX)).build(),
    )
}

/// The same client for receives, whose repetition is the caller's, who has the attempt id (Q15).
pub(crate) fn for_long_polls(sqs: &aws_sdk_sqs::Client) -> aws_sdk_sqs::Client {
    let config = sqs.config().to_builder();
    aws_sdk_sqs::Client::from_conf(config.retry_config(RetryConfig::disabled()).build())
}
