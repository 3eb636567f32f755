//! That the document names every question that can be asked, as it is asked.

use std::process::Command;

/// What can be asked, as the program tells.
fn questions() -> Vec<String> {
    let helped = Command::new(env!("CARGO_BIN_EXE_benches"))
        .arg("--help")
        .output()
        .expect("the program runs");
    assert!(helped.status.success(), "{helped:?}");
    let help = String::from_utf8(helped.stdout).expect("the help is text");
    let (_, commands) = help.split_once("Commands:\n").expect("the help lists commands");
    commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|&name| name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_question_is_in_the_document() {
    let document = include_str!("../README.md");
    let questions = questions();
    assert!(questions.len() > 8, "{questions:?}");
    let missing: Vec<_> = questions
        .iter()
        .filter(|name| {
            let ways = [format!("benches {name}"), format!("benches -- {name}")];
            !ways.iter().any(|way| document.contains(way))
        })
        .collect();
    assert!(missing.is_empty(), "benches/README.md does not say {missing:?}");
}
