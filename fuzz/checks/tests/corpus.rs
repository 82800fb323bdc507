//! Whatever a fuzzer once found interesting still holds.

use std::fs;
use std::path::{Path, PathBuf};

use fuzz_checks::{SERVICE_TARGETS, TARGETS, Target};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus")
}

fn targets() -> impl Iterator<Item = &'static Target> {
    TARGETS.iter().chain(SERVICE_TARGETS)
}

/// Every input of every corpus, and how many of each mean something to their check.
#[test]
fn every_committed_input_still_holds() {
    for target in targets() {
        let (mut inputs, mut meaningful) = (0, 0);
        for entry in fs::read_dir(corpus().join(target.name)).expect("a corpus for each target") {
            let path = entry.unwrap().path();
            let input = fs::read(&path).unwrap();
            // A panic prints this line with it.
            println!("{}", path.display());
            meaningful += usize::from((target.check)(&input));
            inputs += 1;
        }
        println!("{}: {inputs} inputs, {meaningful} past the door", target.name);
        assert!(inputs >= 20, "{}: {inputs} inputs", target.name);
        assert!(meaningful * 4 >= inputs, "{}: {meaningful} of {inputs}", target.name);
    }
}

/// A corpus without a target is replayed by nobody.
#[cfg(feature = "service")]
#[test]
fn every_corpus_belongs_to_a_target() {
    for entry in fs::read_dir(corpus()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(targets().any(|target| target.name == name), "corpus/{name}");
    }
}

/// Short inputs, every first byte, and nothing at all.
#[test]
fn no_short_input_is_too_short() {
    for target in targets() {
        (target.check)(&[]);
        for first in 0..=u8::MAX {
            for second in [0, 1, 7, 0x80, 0xff] {
                (target.check)(&[first, second]);
                (target.check)(&[first, second, first, second, 0xc0]);
            }
        }
    }
}
