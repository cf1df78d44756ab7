//! Replays recordings: `golden [FILE]`, the project's own where no file is named.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use mobile_bind_tests::golden;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let file = std::env::args_os().nth(1).map_or_else(|| PathBuf::from(golden::OWN_CASES), PathBuf::from);
    let mut output = std::io::stdout();
    let (mut passed, mut failed) = (0, 0);
    for case in golden::read(&file)?.iter().filter(|case| case.is_same()) {
        let differences = golden::replay(case).await;
        match &differences {
            Ok(differences) if differences.is_empty() => passed += 1,
            Ok(differences) => {
                failed += 1;
                for difference in differences {
                    writeln!(output, "{difference}")?;
                }
            }
            Err(error) => {
                failed += 1;
                writeln!(output, "{}, -, -, to be played, {error:#}", case.name)?;
            }
        }
    }
    writeln!(output, "{passed} passed, {failed} failed")?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
