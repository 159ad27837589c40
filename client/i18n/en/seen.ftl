# "When were they last seen?" Every sentence states a fact with its source. None says more than is known.

seen-nothing-yet = Nothing has come from { $name } yet.
seen-news-today = The last news reached this device today at { $time }.
seen-no-news-since = No news since { $day }.
seen-news-clock = The last news is dated { $moment }, which is later than this device's clock.
seen-no-word = This device holds no last word of theirs.
seen-word-empty = Their last word carries no text.
seen-word-text = Last word: “{ $text }”
seen-word-state = Last word: “{ $state }”
seen-word-both = Last word: “{ $state } { $text }”
seen-written = Written { $moment }, by their clock.
seen-written-untold = They did not say when they wrote it.
seen-bucket = A relay received it { $range }.
seen-bucket-untold = No relay tells when it arrived there.
seen-relay-older = The relay did not show this word, only an older one or none. It was on this device already.
seen-link-single = The link on the way
seen-link-numbered = Link { $number } on the way
seen-link-unknown = { $link }: not known how it is. The relay looked { $looked }.
seen-link-up = { $link } has been up since about { $since }. The relay looked { $looked }.
seen-link-down = { $link } has been down since about { $since }. The relay looked { $looked }.
seen-link-comes-and-goes = { $link } has come and gone since about { $since }. The relay looked { $looked }.
seen-relay-not-reached = Their relay did not answer now; this is what this device holds.
seen-checked-now = Checked just now.
seen-checked-ago = Checked { $ago }.
seen-checked-clock = Checked { $moment }, which is later than this device's clock.
seen-checked-never = Their relay has never answered about this.
seen-not-granted = { $name } does not share a last word with this device.

word-none = no state given
word-well = I am well.
word-moving = We are moving.
word-arrived = We have arrived.
word-silent = I cannot speak now.
