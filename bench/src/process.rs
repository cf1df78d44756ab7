//! What a process and a folder use, as Linux tells it (proc(5)).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

/// The processor time that a process has used, in user and in kernel mode.
pub(crate) fn processor_time(pid: u32) -> Result<Duration> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    let ticks = ticks(&stat).context("/proc/PID/stat has another form than expected")?;
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_micros(ticks.saturating_mul(1_000_000) / per_second.max(1)))
}

/// `utime` and `stime`, in clock ticks. The program's name, which may hold anything, ends at the last parenthesis.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let (user, system) = (fields.next()?, fields.next()?);
    Some(user.parse::<u64>().ok()? + system.parse::<u64>().ok()?)
}

/// The processor time of a process and its children, those included that have ended.
pub(crate) fn processor_time_of_family(pid: u32) -> Result<Duration> {
    let mut total = family_ticks(&read(&format!("/proc/{pid}/stat"))?).context("/proc/PID/stat cannot be read")?;
    for entry in fs::read_dir("/proc").context("cannot read /proc")? {
        let name = entry?.file_name();
        let Some(child) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // It may have ended meanwhile; then its parent's has it.
        let Ok(stat) = fs::read_to_string(format!("/proc/{child}/stat")) else { continue };
        if parent(&stat) == Some(pid) {
            total += ticks(&stat).unwrap_or(0);
        }
    }
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_micros(total.saturating_mul(1_000_000) / per_second.max(1)))
}

fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// `utime`, `stime`, `cutime` and `cstime`.
fn family_ticks(stat: &str) -> Option<u64> {
    let fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11).take(4);
    fields.map(|field| field.parse::<u64>().ok()).sum()
}

/// The memory of a process that is resident, in bytes.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    let status = read(&format!("/proc/{pid}/status"))?;
    kibibytes_in(&status, "VmRSS:").context("/proc/PID/status has another form than expected")
}

/// The most memory of a process that was ever resident, in bytes.
pub(crate) fn most_resident(pid: u32) -> Result<u64> {
    let status = read(&format!("/proc/{pid}/status"))?;
    kibibytes_in(&status, "VmHWM:").context("/proc/PID/status has another form than expected")
}

/// A line's value, in bytes.
fn kibibytes_in(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}

/// What a folder and everything in it takes on disk, in bytes: blocks, not lengths.
pub(crate) fn on_disk(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        // A store may remove a file of its own meanwhile.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { on_disk(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{family_ticks, kibibytes_in, most_resident, on_disk, parent, processor_time, resident, ticks};

    #[test]
    fn processor_time_is_user_and_system() {
        let stat = "7 (a ) (b) S 1 2 3 4 5 6 7 8 9 10 250 50 1 1 20 0";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("7 (cut"), None);
        assert_eq!((parent(stat), family_ticks(stat)), (Some(1), Some(302)));
        assert!(processor_time(std::process::id()).is_ok());
    }

    #[test]
    fn resident_memory_is_in_bytes() {
        assert_eq!(kibibytes_in("VmPeak:\t 9 kB\nVmRSS:\t   12 kB\n", "VmRSS:"), Some(12 * 1024));
        assert_eq!(kibibytes_in("Name: x", "VmRSS:"), None);
        assert!(most_resident(std::process::id()).unwrap() >= resident(std::process::id()).unwrap() / 2);
        assert!(resident(std::process::id()).unwrap() > 100_000);
    }

    #[test]
    fn folders_count_with_what_is_in_them() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        std::fs::write(folder.path().join("inner/file"), vec![1; 100_000]).unwrap();
        assert!(on_disk(folder.path()).unwrap() >= 100_000);
    }
}
