//! Running one command in the workspace's root.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use anyhow::{Context, Result};

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Tells the person at the terminal something. Standard output belongs to the commands that are run.
pub(crate) fn say(text: &str) {
    // Whoever closed standard error does not want to know.
    let _ = writeln!(io::stderr(), "{text}");
}

/// One command, run in the workspace's root.
pub(crate) struct Step {
    command: Command,
    shown: String,
}

impl Step {
    /// A call of cargo, the same one that runs this chore.
    pub(crate) fn cargo<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        Self::of(&program, "cargo").arguments(arguments)
    }

    /// A call of a program: of one in `PATH`, or of a file.
    pub(crate) fn program(program: impl AsRef<OsStr>) -> Self {
        let shown = Path::new(program.as_ref()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self::of(program.as_ref(), &shown)
    }

    fn of(program: &OsStr, shown: &str) -> Self {
        let mut command = Command::new(program);
        command.current_dir(root());
        Self { command, shown: shown.to_owned() }
    }

    /// Adds arguments.
    pub(crate) fn arguments<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        for argument in arguments {
            self.shown.push(' ');
            self.shown.push_str(&argument.as_ref().to_string_lossy());
            self.command.arg(argument);
        }
        self
    }

    /// Sets an environment variable.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.shown = format!("{name}={value} {}", self.shown);
        self.command.env(name, value);
        self
    }

    /// Runs it at this terminal.
    ///
    /// # Errors
    /// [`Failed`] where it does not exit with 0.
    pub(crate) fn run(mut self) -> Result<()> {
        let status = self.command.status().with_context(|| format!("cannot start {}", self.shown))?;
        succeeded(status, self.shown)
    }

    /// Runs it, and answers what it wrote to standard output.
    ///
    /// # Errors
    /// [`Failed`] where it does not exit with 0.
    pub(crate) fn read(mut self) -> Result<Vec<u8>> {
        let output =
            self.command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start {}", self.shown))?;
        succeeded(output.status, self.shown)?;
        Ok(output.stdout)
    }

    /// As [`Step::read`], where a failure is an answer too: nothing of it is shown.
    ///
    /// # Errors
    /// [`Failed`] where it does not exit with 0.
    pub(crate) fn quiet_read(mut self) -> Result<Vec<u8>> {
        self.command.stderr(Stdio::null());
        let output = self.command.output().with_context(|| format!("cannot start {}", self.shown))?;
        succeeded(output.status, self.shown)?;
        Ok(output.stdout)
    }

    /// Whether it exits with 0; what it writes is dropped.
    pub(crate) fn works(mut self) -> bool {
        self.command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }
}

fn succeeded(status: ExitStatus, command: String) -> Result<()> {
    if status.success() { Ok(()) } else { Err(Failed { command, code: status.code() }.into()) }
}

/// A command that did not exit with 0.
#[derive(Debug)]
pub(crate) struct Failed {
    command: String,
    code: Option<i32>,
}

impl Failed {
    /// Its exit code; 1 where a signal ended it.
    pub(crate) fn exit_code(&self) -> ExitCode {
        self.code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} failed", self.command)
    }
}

impl std::error::Error for Failed {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_keeps_its_exit_code() {
        let error = Step::cargo(["no-such-subcommand"]).variable("CARGO_TERM_QUIET", "true").run().unwrap_err();
        assert_eq!(error.to_string(), "CARGO_TERM_QUIET=true cargo no-such-subcommand failed");
        assert_eq!(error.downcast_ref::<Failed>().and_then(|failed| failed.code), Some(101));
    }

    #[test]
    fn what_is_written_is_read_in_the_root() {
        let manifest = Step::cargo(["locate-project", "--message-format", "plain"]).read().unwrap();
        let manifest = PathBuf::from(String::from_utf8(manifest).unwrap().trim_end());
        assert_eq!(manifest.canonicalize().unwrap(), root().join("Cargo.toml").canonicalize().unwrap());
    }

    #[test]
    fn it_can_be_asked_whether_a_command_works() {
        assert!(Step::cargo(["--version"]).works());
        assert!(!Step::cargo(["no-such-subcommand"]).works());
    }
}
