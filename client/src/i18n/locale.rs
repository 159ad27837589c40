//! Languages, figures, and what typed text may carry along.

/// A language of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Arabic (Modern Standard).
    Arabic,
}

/// How figures in sentences are written. Links, addresses, commands and JSON always use Latin figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digits {
    /// 0123456789
    Latin,
    /// ٠١٢٣٤٥٦٧٨٩
    ArabicIndic,
}

/// A language with its figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Locale {
    /// The language.
    pub language: Language,
    /// The figures.
    pub digits: Digits,
}

/// Regions where Arabic is written with Latin figures (CLDR 48, default numbering system `latn`).
const LATIN_FIGURES: [&str; 7] = ["AE", "DZ", "EH", "LY", "MA", "MR", "TN"];

impl Locale {
    /// English with Latin figures.
    pub const ENGLISH: Self = Self { language: Language::English, digits: Digits::Latin };

    /// Arabic with Arabic-Indic figures, as in the east of the Arab world.
    pub const ARABIC: Self = Self { language: Language::Arabic, digits: Digits::ArabicIndic };

    /// Reads a name such as `ar`, `ar-MA`, `ar_SY.UTF-8` or `en`; `None` for a language without catalogue.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.split(['.', '@']).next().unwrap_or_default();
        let mut parts = name.split(['-', '_']);
        let language = parts.next().unwrap_or_default();
        if language.eq_ignore_ascii_case("en") {
            return Some(Self::ENGLISH);
        }
        if !language.eq_ignore_ascii_case("ar") {
            return None;
        }
        let latin = parts.any(|part| LATIN_FIGURES.iter().any(|region| part.eq_ignore_ascii_case(region)));
        let digits = if latin { Digits::Latin } else { Digits::ArabicIndic };
        Some(Self { language: Language::Arabic, digits })
    }

    /// Chooses as POSIX says: `LC_ALL`, else `LC_MESSAGES`, else `LANG`; English if that names no language of ours.
    ///
    /// `variable` gives the value of an environment variable; empty ones count as absent.
    #[must_use]
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(|name| variable(name).filter(|value| !value.is_empty()))
            .and_then(|value| Self::from_name(&value))
            .unwrap_or(Self::ENGLISH)
    }

    /// Writes ASCII figures in this locale's way; everything else stays. A point between figures becomes the decimal
    /// sign.
    #[must_use]
    pub fn figures(self, ascii: &str) -> String {
        match self.digits {
            Digits::Latin => ascii.to_owned(),
            Digits::ArabicIndic => ascii
                .chars()
                .map(|character| match character {
                    '0'..='9' => {
                        character.to_digit(10).and_then(|value| char::from_u32(0x0660 + value)).unwrap_or(character)
                    }
                    '.' => '\u{066B}',
                    other => other,
                })
                .collect(),
        }
    }
}

/// First code points of the decimal figures people here type: Arabic-Indic, Persian and Urdu, Devanagari, Bengali,
/// fullwidth.
const ZEROS: [u32; 5] = [0x0660, 0x06F0, 0x0966, 0x09E6, 0xFF10];

/// Turns figures of other scripts into Latin ones; everything else stays.
#[must_use]
pub fn latin_digits(text: &str) -> String {
    text.chars()
        .map(|character| {
            let code = u32::from(character);
            ZEROS
                .iter()
                .filter_map(|zero| code.checked_sub(*zero))
                .find_map(|value| char::from_digit(value, 10))
                .unwrap_or(character)
        })
        .collect()
}

/// Drops the invisible marks of direction that copying from a right-to-left text leaves in links, names and numbers.
#[must_use]
pub fn without_direction_marks(text: &str) -> String {
    text.chars().filter(|character| !is_direction_mark(*character)).collect()
}

fn is_direction_mark(character: char) -> bool {
    matches!(u32::from(character), 0x061C | 0x200E | 0x200F | 0x202A..=0x202E | 0x2066..=0x2069 | 0xFEFF)
}

/// Whether a text holds a letter or figure of a right-to-left script (the blocks of Unicode 17 that default to R, AL or
/// AN).
pub(super) fn has_right_to_left(text: &str) -> bool {
    text.chars().any(|character| {
        matches!(u32::from(character),
            0x0590..=0x08FF | 0xFB1D..=0xFDFF | 0xFE70..=0xFEFE | 0x10800..=0x10FFF | 0x1E800..=0x1EFFF)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_read_in_the_order_of_posix() {
        let pick = |pairs: &[(&str, &str)]| {
            Locale::from_environment(|name| {
                pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(pick(&[]), Locale::ENGLISH);
        assert_eq!(pick(&[("LANG", "ar_SY.UTF-8")]), Locale::ARABIC);
        assert_eq!(pick(&[("LANG", "ar_SY.UTF-8"), ("LC_ALL", "C")]), Locale::ENGLISH);
        assert_eq!(pick(&[("LC_ALL", ""), ("LC_MESSAGES", "ar"), ("LANG", "en_US.UTF-8")]), Locale::ARABIC);
        assert_eq!(pick(&[("LANG", "de_DE.UTF-8")]), Locale::ENGLISH);
    }

    #[test]
    fn the_region_decides_how_arabic_figures_are_written() {
        assert_eq!(Locale::from_name("ar-MA").map(|locale| locale.digits), Some(Digits::Latin));
        assert_eq!(Locale::from_name("ar_EG.UTF-8").map(|locale| locale.digits), Some(Digits::ArabicIndic));
        assert_eq!(Locale::from_name("fr"), None);
        assert_eq!(Locale::ARABIC.figures("12:05, 1.4"), "١٢:٠٥, ١٫٤");
        assert_eq!(Locale::ENGLISH.figures("12:05"), "12:05");
    }

    #[test]
    fn figures_of_any_script_become_latin() {
        assert_eq!(latin_digits("١٢٣٤ ۵۶۷۸ 9012 ०१ ９"), "1234 5678 9012 01 9");
    }

    #[test]
    fn marks_of_direction_vanish_from_pasted_text() {
        assert_eq!(without_direction_marks("\u{2068}zajil:abc\u{2069}\u{200F}"), "zajil:abc");
    }
}
