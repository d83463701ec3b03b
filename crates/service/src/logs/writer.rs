//! Writes lines from a thread of its own, so that no service ever waits for whoever reads its log.
//!
//! Guarantees: handing over a line never blocks; at most [`LINES_MAX`] lines wait; what had to be
//! dropped is counted and said in the log itself.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// How many lines may wait for the writer.
pub(super) const LINES_MAX: usize = 8_192;
/// How much is written at once.
const CHUNK_BYTES_MAX: usize = 64 * 1_024;
/// How long a flush may take; a reader that hangs must not keep a service from ending.
const FLUSH_MILLIS_MAX: u64 = 500;

enum Entry {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// The end of the queue that lines are put in.
#[derive(Clone, Debug)]
pub(super) struct LineWriter {
    entries: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

impl LineWriter {
    /// Starts the thread. `say_dropped` makes the line that says how many lines were dropped.
    pub(super) fn start(
        sink: impl Write + Send + 'static,
        say_dropped: impl Fn(u64) -> Vec<u8> + Send + 'static,
    ) -> std::io::Result<Self> {
        let (entries, queue) = sync_channel(LINES_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&dropped);
        std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || write_all(sink, &queue, &counted, say_dropped))?;
        Ok(Self { entries, dropped })
    }

    /// Puts a line in the queue, or counts it as dropped when the queue is full.
    pub(super) fn put(&self, line: Vec<u8>) {
        if self.entries.try_send(Entry::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits, for a bounded time, until every line put so far is written.
    pub(super) fn flush(&self) {
        let deadline = Instant::now() + Duration::from_millis(FLUSH_MILLIS_MAX);
        let (written, wait) = sync_channel(1);
        let mut entry = Entry::Flush(written);
        // A queue that is full either moves on soon or belongs to a reader that hangs.
        while let Err(TrySendError::Full(refused)) = self.entries.try_send(entry) {
            if Instant::now() > deadline {
                return;
            }
            entry = refused;
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = wait.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

fn write_all(
    mut sink: impl Write,
    queue: &Receiver<Entry>,
    dropped: &AtomicU64,
    say_dropped: impl Fn(u64) -> Vec<u8>,
) {
    let mut chunk = Vec::with_capacity(CHUNK_BYTES_MAX);
    while let Ok(first) = queue.recv() {
        let mut flushed = Vec::new();
        let mut next = Some(first);
        while let Some(entry) = next {
            match entry {
                Entry::Line(line) => chunk.extend_from_slice(&line),
                Entry::Flush(written) => flushed.push(written),
            }
            next = (chunk.len() < CHUNK_BYTES_MAX).then(|| queue.try_recv().ok()).flatten();
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            chunk.extend_from_slice(&say_dropped(lost));
        }
        // With nowhere to write there is nowhere to complain either.
        let _ = sink.write_all(&chunk).and_then(|()| sink.flush());
        chunk.clear();
        for written in flushed {
            let _ = written.try_send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A reader that reads nothing until it is told to, and then keeps what it got.
    struct Hanging(Receiver<()>, Sender<Vec<u8>>);

    impl Write for Hanging {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            let _ = self.1.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_hangs_costs_lines_and_no_time() {
        let (go_on, told) = channel();
        let (got, lines) = channel();
        let say = |lost| format!("{lost} lost\n").into_bytes();
        let writer = LineWriter::start(Hanging(told, got), say).unwrap();
        for _ in 0..3 * LINES_MAX {
            writer.put(b"line\n".to_vec());
        }
        drop(go_on);
        writer.flush();
        let written: Vec<u8> = lines.try_iter().flatten().collect();
        let written = String::from_utf8(written).unwrap();
        let kept = written.lines().filter(|line| *line == "line").count();
        let lost: usize = written
            .lines()
            .filter_map(|line| line.strip_suffix(" lost"))
            .map(|lost| lost.parse::<usize>().unwrap())
            .sum();
        assert!(lost > 0);
        assert_eq!(kept + lost, 3 * LINES_MAX, "every line is either written or counted");
    }
}
