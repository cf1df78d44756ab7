//! What a hundred million and a thousand million accounts need, from what was measured with fewer. The document
//! `docs/scaling.md` holds what this prints.

mod figures;
mod simulation;

use std::fmt::Write;
use std::io::Write as _;

use anyhow::{Context, Result, bail};

use crate::step::root;
use figures::{ASSUMED, Assumed, BIND, BYTES, Cost, DATABASE, LOOKUP, Machine, ROWS, SEND};
use simulation::{Draw, Stream, hits, wait_p99_ms};

const DOCUMENT: &str = "docs/scaling.md";
const BEGIN: &str = "<!-- cargo xtask scaling -->\n";
const END: &str = "<!-- end -->";
const ACCOUNTS: [f64; 3] = [10e6, 100e6, 1e9];
/// A database's page, in bytes, and how many of them are one in the simulation.
const PAGE: f64 = 8192.0;
const PAGES_IN_ONE: f64 = 4_000.0;
/// A processor or a disk that has more to do than this makes others wait.
const FULL: f64 = 0.6;

/// Prints what the model says; with `check` instead compares the document with it; with `write` writes it there.
///
/// # Errors
/// Where the document cannot be read or written, or holds something else.
pub(crate) fn run(check: bool, write: bool) -> Result<()> {
    let told = tell();
    if !check && !write {
        return std::io::stdout().write_all(told.as_bytes()).context("cannot write to standard output");
    }
    let path = root().join(DOCUMENT);
    let document = std::fs::read_to_string(&path).with_context(|| format!("cannot read {DOCUMENT}"))?;
    let expected = with_block(&document, &told).with_context(|| format!("{DOCUMENT} has no place for it"))?;
    if write {
        return std::fs::write(&path, expected).with_context(|| format!("cannot write {DOCUMENT}"));
    }
    if document != expected {
        bail!("{DOCUMENT} does not hold what the model says: run cargo xtask scaling --write");
    }
    Ok(())
}

fn with_block(document: &str, told: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{told}\n{END}{after}"))
}

/// What so many accounts ask for and need.
struct Needs {
    table_bytes: f64,
    index_bytes: f64,
    lookups: f64,
    binds: f64,
    binds_in_a_rush: f64,
    /// Processors of the database that are busy at the peak, in a rush.
    busy: f64,
    nodes_busy: f64,
    /// The share of pages that are in memory.
    hits: f64,
    reads: f64,
    log_bytes: f64,
    wait_ms: f64,
    /// How many machines share the look-ups until none is full, each with a copy of everything, and how many where each has
    /// a part of the sessions and accounts.
    copies: Option<usize>,
    parts: usize,
    partitions: usize,
    first: &'static str,
}

fn needs(accounts: f64, assumed: &Assumed, machine: &Machine) -> Needs {
    let day = 86_400.0;
    let total = |tables: bool| {
        accounts * BYTES.iter().filter(|bytes| bytes.is_table == tables).map(|bytes| bytes.each).sum::<f64>()
    };
    let (table_bytes, index_bytes) = (total(true), total(false));
    let lookups = accounts * assumed.active * assumed.lookups_a_day / day * assumed.peak;
    let binds = accounts * assumed.binds_a_day / day * assumed.peak;
    let binds_in_a_rush = accounts / (assumed.rush_days * day) * assumed.peak;
    let sends = binds_in_a_rush * assumed.sends_a_bind;
    let stream = |cost: &Cost, per_second| Stream { per_second, takes_us: cost.database_us };
    let changes = [stream(&BIND, binds_in_a_rush), stream(&SEND, sends)];
    let streams = [changes[0], changes[1], stream(&LOOKUP, lookups)];
    let load = |streams: &[Stream]| streams.iter().map(|one| one.per_second * one.takes_us / 1e6).sum::<f64>();
    let busy = load(&streams);
    let nodes_busy = (binds_in_a_rush * BIND.node_us + sends * SEND.node_us + lookups * LOOKUP.node_us) / 1e6;
    let bytes = table_bytes + index_bytes;
    let share = |parts: f64| simulated_hits(bytes / parts, accounts * assumed.active / parts, machine);
    let hits = share(1.0);
    let pages = |hits: f64, lookups: f64| {
        lookups * LOOKUP.pages * (1.0 - hits) + (binds_in_a_rush * BIND.pages + sends * SEND.pages) * (1.0 - hits)
    };
    let reads = pages(hits, lookups);
    let log_bytes = binds_in_a_rush * BIND.log_bytes + sends * SEND.log_bytes;
    let is_full = |busy: f64, reads: f64| busy > FULL * machine.processors || reads > FULL * machine.reads_a_second;
    // A copy makes every change again, which costs it about what the row's changes cost, and answers its share of look-ups.
    let copy_is_full = |copies: f64| {
        let lookups = lookups / copies;
        is_full(load(&changes) + lookups * LOOKUP.database_us / 1e6, pages(hits, lookups))
    };
    let copies =
        (1_u32..=64).find(|&copies| !copy_is_full(f64::from(copies))).and_then(|copies| usize::try_from(copies).ok());
    let part_is_full = |parts: f64| is_full(busy / parts, pages(share(parts), lookups) / parts);
    let parts = (1_u32..=64).find(|&parts| !part_is_full(f64::from(parts))).unwrap_or(64);
    let largest = BYTES.iter().map(|bytes| bytes.each * accounts).fold(0.0, f64::max);
    let first = [
        (busy / machine.processors, "processors of the database"),
        (reads / machine.reads_a_second, "random reads: the pages that look-ups ask for do not fit in memory"),
        (log_bytes / machine.log_bytes_a_second, "the log"),
    ];
    let first = first.into_iter().max_by(|one, other| one.0.total_cmp(&other.0)).map_or("", |(_, what)| what);
    Needs {
        table_bytes,
        index_bytes,
        lookups,
        binds,
        binds_in_a_rush,
        busy,
        nodes_busy,
        hits,
        reads,
        log_bytes,
        wait_ms: wait_p99_ms(&streams, whole(machine.processors), &mut Draw::new(1)),
        copies,
        parts: usize::try_from(parts).unwrap_or(64),
        partitions: whole((largest / machine.partition_bytes).ceil()).next_power_of_two(),
        first,
    }
}

fn simulated_hits(bytes: f64, asking: f64, machine: &Machine) -> f64 {
    let pages = bytes / PAGE;
    let room = (machine.memory_bytes / PAGE).min(pages);
    let ones = (pages / PAGES_IN_ONE).max(1.0);
    // As many accounts ask for a page of the simulation as for one of the database.
    let asking = (asking * LOOKUP.pages / pages * ones).max(1.0);
    hits(whole(ones), whole(room / PAGES_IN_ONE).max(1), whole(asking), &mut Draw::new(2))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts that fit in memory")]
fn whole(number: f64) -> usize {
    number.round().max(0.0) as usize
}

fn tell() -> String {
    let mut text = String::new();
    let all = ACCOUNTS.map(|accounts| needs(accounts, &ASSUMED, &DATABASE));
    let mut row = |name: &str, of: &dyn Fn(f64, &Needs) -> String| {
        let cells = ACCOUNTS.iter().zip(&all).map(|(&accounts, needs)| of(accounts, needs));
        // Writing to a String does not fail.
        let _ = writeln!(text, "| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
    };
    row("accounts", &|accounts, _| large(accounts));
    row("---", &|_, _| "---:".to_owned());
    for (table, each) in ROWS {
        row(&format!("rows of {table}"), &|accounts, _| large(accounts * each));
    }
    row("tables", &|_, needs| bytes(needs.table_bytes));
    row("indexes", &|_, needs| bytes(needs.index_bytes));
    row("look-ups/s at the peak", &|_, needs| rate(needs.lookups));
    row("binds/s at the peak of an ordinary day", &|_, needs| rate(needs.binds));
    row("binds/s at the peak while everybody binds", &|_, needs| rate(needs.binds_in_a_rush));
    row("processors of the database, busy", &|_, needs| format!("{:.1}", needs.busy));
    row("processors of all nodes, busy", &|_, needs| format!("{:.1}", needs.nodes_busy));
    row("log", &|_, needs| format!("{}/s", bytes(needs.log_bytes)));
    row("pages that are found in memory (simulated)", &|_, needs| format!("{:.0} %", needs.hits * 100.0));
    row("random reads/s", &|_, needs| rate(needs.reads));
    row("p99 of the wait for a processor (simulated)", &|_, needs| format!("{:.2} ms", needs.wait_ms));
    row("fullest first", &|_, needs| needs.first.to_owned());
    row("machines, each with all (primary and read replicas)", &|_, needs| {
        needs.copies.map_or_else(|| "more than 64".to_owned(), |copies| copies.to_string())
    });
    row("machines, each with a part (by hash)", &|_, needs| needs.parts.to_string());
    row("hash partitions of each table", &|_, needs| needs.partitions.to_string());
    text
}

fn large(number: f64) -> String {
    if number >= 1e9 { format!("{:.1} G", number / 1e9) } else { format!("{:.0} M", number / 1e6) }
}

fn bytes(number: f64) -> String {
    const UNITS: [(f64, &str); 4] = [
        (1024.0_f64 * 1024.0 * 1024.0 * 1024.0, "TiB"),
        (1024.0 * 1024.0 * 1024.0, "GiB"),
        (1024.0 * 1024.0, "MiB"),
        (1024.0, "KiB"),
    ];
    let unit = UNITS.into_iter().find(|(size, _)| number >= *size).unwrap_or((1.0, "B"));
    format!("{:.1} {}", number / unit.0, unit.1)
}

fn rate(number: f64) -> String {
    if number >= 10_000.0 { format!("{:.0} k", number / 1e3) } else { format!("{number:.0}") }
}

#[cfg(test)]
mod tests {
    use super::{run, with_block};

    #[test]
    fn the_document_holds_what_the_model_says() {
        run(true, false).unwrap();
    }

    #[test]
    fn only_the_block_is_written() {
        let document = format!("a\n{}old\n{}\nb", super::BEGIN, super::END);
        let written = with_block(&document, "new\n").unwrap();
        assert!(written.starts_with("a\n") && written.ends_with("\nb") && written.contains("\nnew\n"), "{written}");
        assert!(!written.contains("old"));
        assert_eq!(with_block("no block", ""), None);
    }
}
