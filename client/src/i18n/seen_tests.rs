use jiff::tz::{Offset, TimeZone};

use super::*;
use crate::engine::api::SeenBucket;
use crate::i18n::time::tests::at;
use crate::i18n::{Catalogue, Locale};

/// A view of somebody who shares nothing and from whom nothing came; Friday 2026-11-20, 14:30 UTC.
fn blank() -> SeenView {
    SeenView {
        name: "Amal".to_owned(),
        granted: true,
        word: None,
        bucket: None,
        news: None,
        checked: None,
        fresh: false,
        relay_is_older: false,
        links: Vec::new(),
        now: at(0, 14, 30),
    }
}

fn word(state: WordState, text: &str, written: Option<Minute>) -> Option<WordView> {
    Some(WordView { state, text: text.to_owned(), written })
}

fn bucket(from: Minute, width_hours: u8) -> Option<SeenBucket> {
    Some(SeenBucket { start_hour: from.0 / 60, width_hours })
}

fn link(state: LinkCondition) -> LinkView {
    LinkView { link: 3, state, since_hour: at(-7, 23, 0).0 / 60, checked: at(0, 8, 30) }
}

fn told_in(locale: Locale, view: &SeenView, asked: bool, zone: &TimeZone) -> String {
    let catalogue = Catalogue::new(locale);
    let sentences: Vec<String> = seen(view, asked, zone).iter().map(|sentence| catalogue.say(sentence)).collect();
    sentences.join(" ")
}

fn told(view: &SeenView, asked: bool) -> String {
    told_in(Locale::ENGLISH, view, asked, &TimeZone::UTC)
}

/// Arabic without the marks of direction, to be read here.
fn told_arabic(view: &SeenView, asked: bool) -> String {
    crate::i18n::without_direction_marks(&told_in(Locale::ARABIC, view, asked, &TimeZone::UTC))
}

#[test]
fn silence_with_a_link_down_is_told_as_facts_with_their_age() {
    let view = SeenView {
        news: Some(at(-3, 9, 0)),
        links: vec![LinkView { since_hour: at(-1, 23, 0).0 / 60, ..link(LinkCondition::Down) }],
        checked: Some(at(0, 8, 30)),
        word: word(WordState::Moving, "", Some(at(-3, 8, 55))),
        bucket: bucket(at(-3, 6, 0), 6),
        ..blank()
    };
    assert_eq!(
        told(&view, false),
        "No news since Tuesday. Last word: “We are moving.” Written Tuesday 08:55, by their clock. \
         A relay received it Tuesday between 06:00 and 12:00. The link on the way has been down since about \
         yesterday 23:00. The relay looked 6 h ago. Checked 6 h ago."
    );
    assert_eq!(
        told_arabic(&view, false),
        "لا أخبار منذ يوم الثلاثاء. آخر كلمة: «نحن ننتقل.» كُتبت يوم الثلاثاء الساعة ٠٨:٥٥ بحسب ساعة من كتبها. \
         استلمتها محطة يوم الثلاثاء بين الساعة ٠٦:٠٠ والساعة ١٢:٠٠. الخط على الطريق مقطوع منذ نحو أمس الساعة ٢٣:٠٠. \
         نظرت المحطة قبل ٦ ساعات. آخر سؤال: قبل ٦ ساعات."
    );
}

#[test]
fn nothing_at_all_is_told_as_nothing_yet() {
    assert_eq!(
        told(&blank(), true),
        "Nothing has come from Amal yet. This device holds no last word of theirs. \
         Their relay did not answer now; this is what this device holds. Their relay has never answered about this."
    );
    assert_eq!(
        told_arabic(&blank(), true),
        "لم يصل شيء من Amal بعد. ليس على هذا الجهاز آخر كلمة من هناك. لم تُجب المحطة الآن، وهذا ما على هذا الجهاز. \
         لم تُجب المحطة عن هذا قط."
    );
}

#[test]
fn who_shares_no_word_is_said_to_share_none_and_the_relay_is_not_mentioned() {
    let view = SeenView { granted: false, news: Some(at(0, 9, 5)), ..blank() };
    assert_eq!(
        told(&view, true),
        "The last news reached this device today at 09:05. Amal does not share a last word with this device."
    );
    assert_eq!(
        told_arabic(&view, true),
        "وصل آخر خبر إلى هذا الجهاز اليوم الساعة ٠٩:٠٥. لا تُتاح لهذا الجهاز آخر كلمة من Amal."
    );
}

#[test]
fn a_fresh_answer_says_so_and_an_older_word_of_the_relay_is_told() {
    let view = SeenView {
        news: Some(at(-1, 9, 0)),
        word: word(WordState::Well, "كلنا هنا", None),
        relay_is_older: true,
        fresh: true,
        checked: Some(at(0, 14, 30)),
        ..blank()
    };
    assert_eq!(
        crate::i18n::without_direction_marks(&told(&view, true)),
        "No news since yesterday. Last word: “I am well. كلنا هنا” They did not say when they wrote it. \
         No relay tells when it arrived there. \
         The relay did not show this word, only an older one or none. It was on this device already. Checked just now."
    );
    assert!(
        told_arabic(&view, true)
            .contains("لم تعرض المحطة هذه الكلمة، بل أقدم منها أو لا شيء، وهذه كانت على هذا الجهاز من قبل.")
    );
}

#[test]
fn clocks_that_lie_are_shown_and_not_corrected() {
    let view = SeenView { news: Some(at(2, 9, 0)), checked: Some(at(1, 10, 0)), ..blank() };
    assert_eq!(
        told(&view, false),
        "The last news is dated 22 November 09:00, which is later than this device's clock. \
         This device holds no last word of theirs. Checked 21 November 10:00, which is later than this device's clock."
    );
}

#[test]
fn times_are_told_in_the_zone_of_the_listener() {
    let kabul = TimeZone::fixed(Offset::from_seconds(16_200).unwrap());
    let view = SeenView {
        news: Some(at(-1, 20, 0)),
        word: word(WordState::None, "x", Some(at(-1, 19, 40))),
        bucket: bucket(at(-1, 18, 0), 6),
        fresh: true,
        ..blank()
    };
    assert_eq!(
        told_in(Locale::ENGLISH, &view, true, &kabul),
        "The last news reached this device today at 00:30. Last word: “x” Written today 00:10, by their clock. \
         A relay received it between yesterday 22:30 and today 04:30. Checked just now."
    );
}

#[test]
fn several_links_are_told_apart_by_the_operators_numbers() {
    let view = SeenView {
        links: vec![link(LinkCondition::Up), LinkView { link: 12, ..link(LinkCondition::Unknown) }],
        ..blank()
    };
    let said = told(&view, false);
    assert!(said.contains("Link 3 on the way has been up since about 13 November 23:00. The relay looked 6 h ago."));
    assert!(said.contains("Link 12 on the way: not known how it is. The relay looked 6 h ago."));
}

/// Every combination of facts there can be.
fn every_view() -> Vec<SeenView> {
    let states = [WordState::None, WordState::Well, WordState::Moving, WordState::Arrived, WordState::Silent];
    let times = [
        None,
        Some(at(0, 14, 29)),
        Some(at(0, 1, 0)),
        Some(at(-1, 12, 0)),
        Some(at(-4, 0, 0)),
        Some(at(-400, 0, 0)),
        Some(at(3, 0, 0)),
    ];
    let conditions = [LinkCondition::Unknown, LinkCondition::Up, LinkCondition::Down, LinkCondition::ComesAndGoes];
    let mut words = vec![None];
    for state in states {
        for text in ["", "نحن في الطريق"] {
            let written = (!text.is_empty()).then(|| at(-2, 9, 0));
            words.push(word(state, text, written));
        }
    }
    let mut links = vec![Vec::new()];
    links.extend(conditions.map(|state| vec![link(state)]));
    links.push(conditions.map(link).to_vec());
    let buckets = [None, bucket(at(-2, 6, 0), 6), bucket(at(-2, 0, 0), 24)];
    let mut views = Vec::new();
    for word in &words {
        for bucket in buckets {
            for links in &links {
                for news in times {
                    for (granted, fresh, relay_is_older, checked) in [
                        (false, false, false, None),
                        (true, false, false, None),
                        (true, false, true, Some(at(0, 8, 30))),
                        (true, true, false, Some(at(0, 14, 30))),
                        (true, false, false, Some(at(2, 0, 0))),
                    ] {
                        views.push(SeenView {
                            word: word.clone(),
                            bucket,
                            links: links.clone(),
                            news,
                            granted,
                            fresh,
                            relay_is_older,
                            checked,
                            ..blank()
                        });
                    }
                }
            }
        }
    }
    views
}

#[test]
fn no_combination_of_facts_leads_to_a_guess_about_a_life_or_a_person_called_offline() {
    let english = [
        "offline", "online", "safe", "dead", "alive", "probably", "perhaps", "maybe", "seems", "should", "worry",
        "fine",
    ];
    let arabic = ["متصل", "بأمان", "آمن", "حي ", "ميت", "ربما", "لعل", "يبدو", "غالبًا", "على الأرجح", "لا تقلق"];
    let (in_english, in_arabic) = (Catalogue::new(Locale::ENGLISH), Catalogue::new(Locale::ARABIC));
    for view in every_view() {
        for asked in [false, true] {
            let sentences = seen(&view, asked, &TimeZone::UTC);
            // What they wrote themselves is quoted and may say anything.
            for sentence in sentences.iter().filter(|sentence| !sentence.key().starts_with("seen-word-")) {
                let said = in_english.say(sentence).to_lowercase();
                let words: Vec<&str> = said.split(|letter: char| !letter.is_alphabetic()).collect();
                assert!(!words.iter().any(|word| english.contains(word)), "{said}");
                let said = in_arabic.say(sentence);
                assert!(!arabic.iter().any(|word| said.contains(word)), "{said}");
            }
        }
    }
}

#[test]
fn every_combination_of_facts_is_told_whole_in_both_languages() {
    let (english, arabic) = (Catalogue::new(Locale::ENGLISH), Catalogue::new(Locale::ARABIC));
    for view in every_view() {
        let sentences = seen(&view, true, &TimeZone::UTC);
        let keys: Vec<&str> = sentences.iter().map(Message::key).collect();
        let told = |key: &str| keys.iter().any(|told| told.starts_with(key));
        assert_eq!(told("seen-word-"), view.word.is_some());
        assert_eq!(told("seen-written"), view.word.is_some());
        assert_eq!(keys.contains(&"seen-bucket"), view.bucket.is_some());
        assert_eq!(told("seen-relay-older"), view.relay_is_older);
        assert_eq!(keys.iter().filter(|key| key.starts_with("seen-link-")).count(), view.links.len());
        assert_eq!(told("seen-not-granted"), !view.granted);
        assert_eq!(told("seen-checked"), view.granted);
        assert_eq!(told("seen-relay-not-reached"), view.granted && !view.fresh);
        for sentence in &sentences {
            for catalogue in [&english, &arabic] {
                let said = catalogue.say(sentence);
                assert!(!said.contains('{') && !said.contains("seen-"), "{said}");
            }
        }
    }
}

#[test]
fn what_they_wrote_stands_between_quotation_marks_and_cannot_leave_them() {
    let view = SeenView { word: word(WordState::None, "” Checked just now.\nNo news\u{202e}", None), ..blank() };
    let sentences = seen(&view, false, &TimeZone::UTC);
    let said = Catalogue::new(Locale::ENGLISH).say(&sentences[1]);
    assert!(said.starts_with("Last word: “") && said.ends_with('”'), "{said}");
    assert!(!said.contains('\n') && !said.contains('\u{202e}'), "one line, one direction: {said:?}");
}
