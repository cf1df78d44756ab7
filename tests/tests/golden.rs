//! The recordings that come with the project.

use std::path::Path;

use mobile_bind_tests::golden;

#[tokio::test]
async fn every_recording_replays_without_a_difference() {
    let cases = golden::read(Path::new(golden::OWN_CASES)).unwrap();
    let same: Vec<_> = cases.iter().filter(|case| case.is_same()).collect();
    assert_eq!(same.len(), 80);
    for case in same {
        let differences = golden::replay(case).await.unwrap();
        assert!(
            differences.is_empty(),
            "{}",
            differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        );
    }
}
