//! Durable before acknowledged, as a type.

/// A value that stands on disk: written, and synced, by the engine that made this.
///
/// Receipts can only be made from one (`docs/ARCHITECTURE.md`, rule 1). [`Durable::after_sync`] is called in store
/// engines and nowhere else; a test (`tests/workspace_shape.rs`) reads the sources and holds that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Durable<T>(T);

impl<T> Durable<T> {
    /// States that `value` survives a power cut from now on.
    ///
    /// Only a store engine may say so, after its commit has returned. The in-memory engines say it too: what they hold
    /// is as durable as they promise to be.
    pub const fn after_sync(value: T) -> Self {
        Self(value)
    }

    /// Returns the value.
    pub const fn get(&self) -> &T {
        &self.0
    }

    /// Returns the value, giving up the statement that it is durable.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// Keeps the statement while changing what is said, for example from a whole commit to one of its parts.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Durable<U> {
        Durable(change(self.0))
    }
}
