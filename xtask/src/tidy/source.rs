//! A Rust file, split into code and the rest.
//!
//! Knows just enough of the language to tell code from comments and literals and production from
//! tests. It never fails: a file that does not compile is the compiler's concern.

/// One file, with the same lines in each of its forms.
pub(super) struct Source<'a> {
    pub(super) path: &'a str,
    pub(super) text: &'a str,
    /// Comments and the contents of literals are blanks here.
    pub(super) code: String,
    /// Code and the contents of literals are blanks here.
    pub(super) comments: String,
    /// Whether the file belongs to a module that another file declares for tests only.
    pub(super) is_declared_for_tests: bool,
}

impl<'a> Source<'a> {
    pub(super) fn new(path: &'a str, text: &'a str) -> Self {
        let (code, comments) = split(text);
        Self { path, text, code, comments, is_declared_for_tests: false }
    }

    /// The modules that this file declares for tests only, as their paths without `.rs`.
    pub(super) fn test_modules(&self) -> Vec<String> {
        let stem = self.path.trim_end_matches(".rs");
        let folder = match stem.rsplit_once('/') {
            Some((folder, "lib" | "main" | "mod")) => folder,
            _ => stem,
        };
        let declared = self.code.match_indices("#[cfg(test)]").filter_map(|(at, mark)| {
            let item = self.code[at + mark.len()..].trim_start();
            let (name, _) =
                item.trim_start_matches("pub(crate) ").strip_prefix("mod ")?.split_once(';')?;
            name.chars().all(|c| c.is_alphanumeric() || c == '_').then_some(name)
        });
        declared.map(|name| format!("{folder}/{name}")).collect()
    }

    /// Whether the whole file is tests.
    pub(super) fn is_test(&self) -> bool {
        self.is_declared_for_tests
            || self
                .path
                .split('/')
                .any(|part| part == "tests" || part == "tests.rs" || part == "benches")
    }

    pub(super) fn is_example(&self) -> bool {
        self.path.contains("/examples/")
    }

    /// The code before the file's test module, or nothing if the whole file is tests.
    pub(super) fn production(&self) -> &str {
        if self.is_test() { "" } else { &self.code[..test_module(&self.code)] }
    }
}

/// Where the inline test module begins.
fn test_module(code: &str) -> usize {
    let mut at = 0;
    while let Some(found) = code[at..].find("#[cfg(test)]") {
        let start = at + found;
        at = start + "#[cfg(test)]".len();
        let item = code[at..].trim_start();
        let item = item.trim_start_matches("pub(crate) ");
        if item.starts_with("mod ") && item.find('{') < item.find(';').or(Some(usize::MAX)) {
            return start;
        }
    }
    code.len()
}

#[derive(Clone, Copy)]
enum State {
    Code,
    Line,
    /// Nesting depth.
    Block(usize),
    Text,
    /// Number of `#` that end it.
    Raw(usize),
    Character,
}

/// The code and the comments of `text`, everything else being blanks.
fn split(text: &str) -> (String, String) {
    let characters: Vec<char> = text.chars().collect();
    let (mut code, mut comments) = (String::new(), String::new());
    let mut state = State::Code;
    let mut at = 0;
    while at < characters.len() {
        let rest = &characters[at..];
        let (next, length) = step(state, rest, at.checked_sub(1).map(|before| characters[before]));
        let comment = matches!(state, State::Line | State::Block(_))
            || matches!(next, State::Line | State::Block(_));
        let plain = matches!((state, next), (State::Code, State::Code));
        for character in &rest[..length] {
            let blank = if *character == '\n' { '\n' } else { ' ' };
            code.push(if plain { *character } else { blank });
            comments.push(if comment { *character } else { blank });
        }
        state = next;
        at += length;
    }
    (code, comments)
}

/// The state after the next token, and how many characters that token has.
fn step(state: State, rest: &[char], before: Option<char>) -> (State, usize) {
    let next = rest.get(1).copied();
    match state {
        State::Code => code_step(rest, before),
        State::Line if rest[0] == '\n' => (State::Code, 1),
        State::Block(depth) => match (rest[0], next) {
            ('/', Some('*')) => (State::Block(depth + 1), 2),
            ('*', Some('/')) if depth == 1 => (State::Code, 2),
            ('*', Some('/')) => (State::Block(depth - 1), 2),
            _ => (state, 1),
        },
        State::Text if rest[0] == '"' => (State::Code, 1),
        State::Character if rest[0] == '\'' => (State::Code, 1),
        State::Text | State::Character if rest[0] == '\\' => (state, rest.len().min(2)),
        State::Raw(marks) if rest[0] == '"' => {
            let ends = rest[1..].iter().take_while(|mark| **mark == '#').count() >= marks;
            if ends { (State::Code, 1 + marks) } else { (state, 1) }
        }
        State::Line | State::Text | State::Raw(_) | State::Character => (state, 1),
    }
}

fn code_step(rest: &[char], before: Option<char>) -> (State, usize) {
    let next = rest.get(1).copied();
    let in_word = before.is_some_and(|character| character.is_alphanumeric() || character == '_');
    match (rest[0], next) {
        ('/', Some('/')) => (State::Line, 2),
        ('/', Some('*')) => (State::Block(1), 2),
        ('"', _) => (State::Text, 1),
        ('r', Some('"' | '#')) if !in_word || before == Some('b') || before == Some('c') => {
            let marks = rest[1..].iter().take_while(|mark| **mark == '#').count();
            match rest.get(1 + marks) {
                Some('"') => (State::Raw(marks), 2 + marks),
                _ => (State::Code, 1),
            }
        }
        ('\'', Some('\\')) => (State::Character, 1),
        ('\'', Some(_)) if rest.get(2) == Some(&'\'') => (State::Character, 1),
        _ => (State::Code, 1),
    }
}

/// The lines of `text` with their numbers from 1.
pub(super) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// The words of which an identifier is made: `RoundTrip`, `round_trip` and `ROUND_TRIP` alike.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut lower_before = false;
    for character in line.chars().chain([' ']) {
        let boundary =
            !character.is_ascii_alphabetic() || character.is_ascii_uppercase() && lower_before;
        if boundary && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if character.is_ascii_alphabetic() {
            word.push(character.to_ascii_lowercase());
        }
        lower_before = character.is_ascii_lowercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_told_from_code() {
        let text =
            "let a = \"x // y\"; // z\nlet b = 'c'; /* d /* e */ f */ g::<'h>(r#\"i\"j\"#);\n";
        let (code, comments) = split(text);
        assert_eq!(code.lines().count(), 2);
        assert!(code.contains("let a =") && code.contains("g::<'h>("), "{code}");
        for hidden in ["x", "y", "z", "'c'", "d", "f */", "i\"j"] {
            assert!(!code.contains(hidden), "{hidden} in {code}");
        }
        assert!(comments.contains("// z") && comments.contains("d /* e */ f"), "{comments}");
        assert!(!comments.contains("x // y"));
    }

    #[test]
    fn escapes_and_byte_strings_end_where_they_end() {
        let (code, _) = split(r##"f('\'', b'"', "\"", br#"""#, b"\\"); rest"##);
        assert!(code.ends_with("; rest"), "{code}");
    }

    #[test]
    fn production_ends_where_the_tests_begin() {
        let text = "#[cfg(test)]\nuse a;\nfn b() {}\n#[cfg(test)]\nmod tests {\n fn c() {}\n}\n";
        let source = Source::new("crates/x/src/y.rs", text);
        assert!(source.production().contains("fn b"));
        assert!(!source.production().contains("fn c"));
        let outside = Source::new("x/src/y.rs", "#[cfg(test)]\nmod tests;\nfn d() {}\n");
        assert!(outside.production().contains("fn d"));
        assert_eq!(Source::new("x/src/y/tests.rs", text).production(), "");
    }

    #[test]
    fn modules_declared_for_tests_are_known_by_their_paths() {
        let text = "mod a;\n#[cfg(test)]\nmod b;\n#[cfg(test)]\nmod c { mod d; }\n";
        assert_eq!(Source::new("x/src/lib.rs", text).test_modules(), ["x/src/b"]);
        assert_eq!(Source::new("x/src/y.rs", text).test_modules(), ["x/src/y/b"]);
    }

    #[test]
    fn identifiers_fall_into_words() {
        assert_eq!(
            words("fn RoundTrip_of(dgram_len)"),
            ["fn", "round", "trip", "of", "dgram", "len"]
        );
    }
}
