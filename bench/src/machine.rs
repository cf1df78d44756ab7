//! The machine that figures come from.

use std::fs;
use std::path::Path;

use serde::Serialize;

/// What a reader must know of a machine to judge its figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Machine {
    pub(crate) processors: usize,
    pub(crate) processor: String,
    pub(crate) memory_mib: u64,
    pub(crate) kernel: String,
    pub(crate) file_system: String,
    /// The load average of the minute before the run: what else was going on.
    pub(crate) load_before: String,
}

impl Machine {
    /// This machine; what it does not tell is empty. `folder` is where the stores are.
    pub(crate) fn this(folder: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let memory_kib = field(&read("/proc/meminfo"), "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0_u64);
        Self {
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            processor: field(&read("/proc/cpuinfo"), "model name"),
            memory_mib: memory_kib / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: file_system(&read("/proc/self/mountinfo"), folder).unwrap_or_default(),
            load_before: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }

    /// In one line.
    pub(crate) fn line(&self) -> String {
        let Self { processors, processor, memory_mib, kernel, file_system, load_before } = self;
        format!(
            "{processors} processors ({processor}), {memory_mib} MiB, Linux {kernel}, {file_system}, load {load_before} before"
        )
    }
}

fn field(text: &str, name: &str) -> String {
    let value = |line: &str| Some(line.strip_prefix(name)?.trim_start().strip_prefix(':')?.trim().to_owned());
    text.lines().find_map(value).unwrap_or_default()
}

/// The type of the file system that a folder is on, and its device: that of the longest mount point above it.
fn file_system(mounts: &str, folder: &Path) -> Option<String> {
    let mount = |line: &str| {
        let (place, device) = line.split_once(" - ")?;
        let point = place.split(' ').nth(4)?.to_owned();
        let mut device = device.split(' ');
        Some((point, format!("{} on {}", device.next()?, device.next()?)))
    };
    let above = |(point, _): &(String, String)| folder.starts_with(point);
    mounts.lines().filter_map(mount).filter(above).max_by_key(|(point, _)| point.len()).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Machine, field, file_system};

    #[test]
    fn fields_are_found_by_their_whole_name() {
        assert_eq!(field("model\t\t: 17\nmodel name\t: EPYC\n", "model name"), "EPYC");
        assert_eq!(field("model\t\t: 17\nmodel name\t: EPYC\n", "model"), "17");
    }

    #[test]
    fn the_nearest_mount_point_counts() {
        let mounts = "1 0 8:1 / / rw - ext4 /dev/vda rw\n2 1 0:3 / /tmp rw,nosuid shared:2 - tmpfs tmpfs rw\n";
        assert_eq!(file_system(mounts, Path::new("/tmp/x")).as_deref(), Some("tmpfs on tmpfs"));
        assert_eq!(file_system(mounts, Path::new("/tmpx")).as_deref(), Some("ext4 on /dev/vda"));
    }

    #[test]
    fn this_machine_has_a_processor() {
        assert!(Machine::this(Path::new("/")).processors > 0);
    }
}
