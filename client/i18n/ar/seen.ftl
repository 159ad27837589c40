# «متى كان آخر خبر؟» كل جملة تذكر أمرًا معلومًا ومصدره، ولا تزيد على المعلوم.

seen-nothing-yet = لم يصل شيء من { $name } بعد.
seen-news-today = وصل آخر خبر إلى هذا الجهاز اليوم الساعة { $time }.
seen-no-news-since = لا أخبار منذ { $day }.
seen-news-clock = تاريخ آخر خبر { $moment }، وهو متأخر عن ساعة هذا الجهاز.
seen-no-word = ليس على هذا الجهاز آخر كلمة من هناك.
seen-word-empty = آخر كلمة بلا نص.
seen-word-text = آخر كلمة: «{ $text }»
seen-word-state = آخر كلمة: «{ $state }»
seen-word-both = آخر كلمة: «{ $state } { $text }»
seen-written = كُتبت { $moment } بحسب ساعة من كتبها.
seen-written-untold = لم يُذكر متى كُتبت.
seen-bucket = استلمتها محطة { $range }.
seen-bucket-untold = لا تذكر أي محطة متى وصلت إليها.
seen-relay-older = لم تعرض المحطة هذه الكلمة، بل أقدم منها أو لا شيء، وهذه كانت على هذا الجهاز من قبل.
seen-link-single = الخط على الطريق
seen-link-numbered = الخط رقم { $number } على الطريق
seen-link-unknown = { $link }: حاله غير معروفة. نظرت المحطة { $looked }.
seen-link-up = { $link } يعمل منذ نحو { $since }. نظرت المحطة { $looked }.
seen-link-down = { $link } مقطوع منذ نحو { $since }. نظرت المحطة { $looked }.
seen-link-comes-and-goes = { $link } يعمل وينقطع منذ نحو { $since }. نظرت المحطة { $looked }.
seen-relay-not-reached = لم تُجب المحطة الآن، وهذا ما على هذا الجهاز.
seen-checked-now = آخر سؤال: الآن.
seen-checked-ago = آخر سؤال: { $ago }.
seen-checked-clock = آخر سؤال: { $moment }، وهو متأخر عن ساعة هذا الجهاز.
seen-checked-never = لم تُجب المحطة عن هذا قط.
seen-not-granted = لا تُتاح لهذا الجهاز آخر كلمة من { $name }.

word-none = دون ذكر الحال
word-well = أنا بخير.
word-moving = نحن ننتقل.
word-arrived = وصلنا.
word-silent = لا أستطيع الكلام الآن.
