//! A whole service in a process of its own, from its settings to its exit code.
//!
//! The process is this test program again, told by `SERVICE_UNDER_TEST` how to behave.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test, as tests do")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use cap_service::run::{Context, EXIT_FAILED, EXIT_SETTINGS, run};
use cap_service::shutdown::EXIT_FORCED;
use serde_json::Value;

/// What is left of C8's second and 50 MiB for the service itself is most of both.
const START_MILLIS_MAX: u128 = 300;
const IDLE_KIB_MAX: u64 = 30 * 1_024;

#[test]
#[ignore = "the service the other tests start"]
fn the_service_under_test() {
    let Ok(behaviour) = std::env::var("SERVICE_UNDER_TEST") else {
        return;
    };
    let code = run("under-test", |context: Context, (): ()| async move {
        context.started();
        match behaviour.as_str() {
            "fails" => return Err(std::io::Error::other("the wire was cut")),
            "panics" => panic!("an invariant is broken"),
            "hangs" => std::future::pending::<()>().await,
            _ => context.stop.cancelled().await,
        }
        tracing::info!("released everything");
        Ok(())
    });
    let known = [0, EXIT_FAILED, EXIT_SETTINGS];
    let code = known.into_iter().find(|known| ExitCode::from(*known) == code);
    std::process::exit(code.unwrap().into());
}

#[test]
fn a_signal_ends_it_cleanly_after_it_released_what_it_held() {
    for signal in ["TERM", "INT"] {
        let mut service = Service::start("waits", &[]);
        service.line("started");
        service.signal(signal);
        let shutting_down = service.line("shutting down");
        assert_eq!(shutting_down["signal"], format!("SIG{signal}"));
        service.line("released everything");
        service.line("stopped");
        assert_eq!(service.exit_code(), Some(0));
    }
}

#[test]
fn it_starts_fast_and_idles_small() {
    let started = Instant::now();
    let mut service = Service::start("waits", &[]);
    let address =
        service.line("serving health and metrics")["address"].as_str().unwrap().to_owned();
    service.line("started");
    let millis = started.elapsed().as_millis();
    assert_eq!(ask(&address, "/readyz"), 200);
    let kib = service.resident_kib();
    println!("started in {millis} ms, idles at {kib} KiB");
    assert!(millis < START_MILLIS_MAX, "{millis} ms");
    assert!(kib < IDLE_KIB_MAX, "{kib} KiB");
}

#[test]
fn settings_that_are_wrong_are_all_told_and_nothing_starts() {
    let mut service = Service::start("waits", &[("CAP_LOG", "loud"), ("CAP_WORKER_THREADS", "0")]);
    let mut told = String::new();
    service.log.read_to_string(&mut told).unwrap();
    assert_eq!(service.exit_code(), Some(EXIT_SETTINGS.into()));
    let names: Vec<_> = told.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    assert!(names.contains(&"CAP_LOG") && names.contains(&"CAP_WORKER_THREADS"), "{told}");
}

#[test]
fn a_failure_is_logged_once_and_is_not_a_success() {
    let mut service = Service::start("fails", &[]);
    assert_eq!(service.line("failed")["error"], "the wire was cut");
    assert_eq!(service.exit_code(), Some(EXIT_FAILED.into()));
}

#[test]
fn a_panic_is_in_the_log() {
    let mut service = Service::start("panics", &[]);
    let panicked = service.line("a thread panicked");
    assert_eq!(panicked["reason"], "an invariant is broken");
    assert_ne!(service.exit_code(), Some(0));
}

#[test]
fn while_it_drains_it_is_alive_but_not_ready() {
    let mut service = Service::start("hangs", &[]);
    let address =
        service.line("serving health and metrics")["address"].as_str().unwrap().to_owned();
    service.line("started");
    service.signal("TERM");
    service.line("shutting down");
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!((ask(&address, "/healthz"), ask(&address, "/readyz")), (200, 503));
    service.signal("TERM");
    assert_eq!(service.exit_code(), Some(EXIT_FORCED.into()), "told twice, it ends at once");
}

#[test]
fn what_does_not_drain_in_time_is_cut_off_within_ten_seconds() {
    let mut service = Service::start("hangs", &[]);
    service.line("started");
    service.signal("TERM");
    let told = Instant::now();
    let failed = service.line("failed");
    assert_eq!(failed["error"], "draining took more than 9s, so work was cut off");
    assert_eq!(service.exit_code(), Some(EXIT_FAILED.into()));
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
}

struct Service {
    process: Child,
    log: BufReader<ChildStderr>,
}

impl Service {
    fn start(behaviour: &str, settings: &[(&str, &str)]) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "the_service_under_test", "--nocapture"])
            .env("SERVICE_UNDER_TEST", behaviour)
            .env("CAP_HTTP_ADDR", "127.0.0.1:0")
            .envs(settings.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        Self { process, log }
    }

    /// Reads the log up to the line with this message.
    fn line(&mut self, message: &str) -> Value {
        let mut text = String::new();
        while self.log.read_line(&mut text).unwrap() > 0 {
            if let Ok(line) = serde_json::from_str::<Value>(&text)
                && line["message"] == message
            {
                assert_eq!(line["service"], "under-test");
                return line;
            }
            text.clear();
        }
        panic!("the log ended without {message:?}")
    }

    fn signal(&self, name: &str) {
        let process_id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &process_id]).status().unwrap().success());
    }

    fn exit_code(&mut self) -> Option<i32> {
        self.process.wait().unwrap().code()
    }

    fn resident_kib(&self) -> u64 {
        let process_id = self.process.id().to_string();
        let listing = Command::new("ps").args(["-o", "rss=", "-p", &process_id]).output().unwrap();
        String::from_utf8(listing.stdout).unwrap().trim().parse().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn ask(address: &str, path: &str) -> u16 {
    let mut connection = TcpStream::connect(address).unwrap();
    write!(connection, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}
