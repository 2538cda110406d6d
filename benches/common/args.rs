//! The arguments of benches that are programs of their own.

/// Reads `--name N` into the options, at least 1 each; gives the other words, and
/// whether the program runs once only, for its assertions.
///
/// # Panics
/// If an option is unknown or lacks its number.
pub(crate) fn read(options: &mut [(&str, &mut usize)]) -> (Vec<String>, bool) {
    let (mut words, mut is_test) = (Vec::new(), false);
    let mut given = std::env::args().skip(1);
    while let Some(arg) = given.next() {
        let option = options.iter_mut().find(|(name, _)| *name == arg);
        match (option, arg.as_str()) {
            (Some((name, value)), _) => {
                let number = given.next().and_then(|value| value.parse::<usize>().ok());
                **value = number
                    .unwrap_or_else(|| panic!("{name} needs a number"))
                    .max(1);
            }
            // What cargo itself gives.
            (None, "--bench") => {}
            (None, "--test") => is_test = true,
            (None, option) if option.starts_with("--") => panic!("unknown argument {option}"),
            (None, _) => words.push(arg),
        }
    }
    (words, is_test)
}

/// As [`read`], where there are no other words; tells whether the program runs once
/// only.
///
/// # Panics
/// As there, and if there is another word.
pub(crate) fn is_test(options: &mut [(&str, &mut usize)]) -> bool {
    let (words, is_test) = read(options);
    assert!(words.is_empty(), "unknown argument {}", words[0]);
    is_test
}
