//! A suspended account and the people who mend it: skip, redrive, dry run, repair, audit.

mod asked;
mod desk;
mod moved;
mod rehearsal;
mod repair;
mod suspended;
mod together;
