//! What was measured, and what is assumed. `cargo xtask bench --store postgres: --sizes …` measures; docs/scaling.md says on
//! what machine.

/// What one request costs.
pub(super) struct Cost {
    /// Processor time of a node, and of the database, in microseconds.
    pub(super) node_us: f64,
    pub(super) database_us: f64,
    pub(super) log_bytes: f64,
    /// Pages in places that nobody could foretell: leaves of indexes, and rows of tables.
    pub(super) pages: f64,
}

pub(super) const BIND: Cost = Cost { node_us: 112.0, database_us: 101.0, log_bytes: 2_141.0, pages: 9.0 };
pub(super) const SEND: Cost = Cost { node_us: 201.0, database_us: 347.0, log_bytes: 3_663.0, pages: 4.0 };
pub(super) const LOOKUP: Cost = Cost { node_us: 47.0, database_us: 15.0, log_bytes: 22.0, pages: 6.0 };

/// What a relation takes for each account, in bytes.
pub(super) struct Bytes {
    pub(super) is_table: bool,
    pub(super) each: f64,
}

const fn table(each: f64) -> Bytes {
    Bytes { is_table: true, each }
}

const fn index(each: f64) -> Bytes {
    Bytes { is_table: false, each }
}

/// Tables: accounts, identities, sessions. Indexes: those of accounts (member code, number, id), of identities (openid, id), of
/// sessions (account, id, last use).
pub(super) const BYTES: [Bytes; 11] = [
    table(101.0),
    table(77.0),
    table(117.0),
    index(36.0),
    index(36.0),
    index(27.0),
    index(64.0),
    index(37.0),
    index(36.0),
    index(53.0),
    index(8.0),
];

/// Rows for each account.
pub(super) const ROWS: [(&str, f64); 3] = [("accounts", 1.0), ("identities", 1.0), ("sessions", 1.0)];

/// What the accounts do.
pub(super) struct Assumed {
    /// The share of accounts that come on one day.
    pub(super) active: f64,
    /// How often each of those is looked up.
    pub(super) lookups_a_day: f64,
    /// Binds a day, as a share of the accounts.
    pub(super) binds_a_day: f64,
    /// The busiest second of a day over the mean one.
    pub(super) peak: f64,
    /// In a rush, every account binds anew within so many days.
    pub(super) rush_days: f64,
    pub(super) sends_a_bind: f64,
}

pub(super) const ASSUMED: Assumed =
    Assumed { active: 0.1, lookups_a_day: 20.0, binds_a_day: 0.005, peak: 5.0, rush_days: 30.0, sends_a_bind: 1.2 };

/// One database server.
pub(super) struct Machine {
    pub(super) processors: f64,
    /// Memory for pages.
    pub(super) memory_bytes: f64,
    pub(super) reads_a_second: f64,
    pub(super) log_bytes_a_second: f64,
    /// How large one partition's largest table or index may become: what a vacuum goes through in some minutes.
    pub(super) partition_bytes: f64,
}

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

pub(super) const DATABASE: Machine = Machine {
    processors: 32.0,
    memory_bytes: 192.0 * GIB,
    reads_a_second: 100_000.0,
    log_bytes_a_second: 200.0 * 1024.0 * 1024.0,
    partition_bytes: 8.0 * GIB,
};
