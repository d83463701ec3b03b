//! The gate before receiving: closed while the database is away, so that nothing piles up.

use tokio::sync::watch;

/// Open until it is closed, closed until it is opened.
#[derive(Debug)]
pub struct Gate {
    open: watch::Sender<bool>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { open: watch::Sender::new(true) }
    }
}

impl Gate {
    /// Lets receivers through.
    pub fn open(&self) {
        self.open.send_if_modified(|open| !std::mem::replace(open, true));
    }

    /// Holds receivers back.
    pub fn close(&self) {
        self.open.send_if_modified(|open| std::mem::replace(open, false));
    }

    /// Whether receivers may pass.
    pub fn is_open(&self) -> bool {
        *self.open.borrow()
    }

    /// Waits until the gate is open.
    pub async fn opened(&self) {
        let mut open = self.open.subscribe();
        // The sender lives in `self`, so this cannot fail while we wait.
        let _ = open.wait_for(|open| *open).await;
    }
}
