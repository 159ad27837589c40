# الإعداد والروابط والرموز والأرقام وجهات الاتصال والخدمة.

init-done = صار هذا الجهاز جاهزًا.
init-home = كل شيء محفوظ في: { $path }
init-relay = المحطة: { $address }
init-next = الخطوة التالية، رابط لشخص تعرفه: { $command }

invite-made = أعطِ هذا الرابط لـ{ $name } وحده. يعمل مرة واحدة:
invite-end = ينتهي { $when }.
invite-scan = أو يُمسح هذا الرمز بكاميرا { $name }:
invite-next = بعد جواب { $name } قارنا الأرقام: { $command }

accept-done = يمكن الآن إرسال الرسائل إلى { $name }.
accept-return = إن كنتما معًا فليُمسح هذا الرمز على جهاز { $name } أو يُكتب:
accept-next = وإلا فقارنا الأرقام بالهاتف: { $command }

qr-written = رمز QR في: { $path }

digits-read = اقرأ هذه الأرقام على { $name } واسمع ما عنده، سطرًا بعد سطر:
digits-next = إن تطابقت: { $command }
digits-confirmed = { $name } مؤكد من قبل.
verify-done = { $name } مؤكد الآن.

contact-none = لا جهات اتصال بعد. للإضافة: { $command }
contact-line = { $name }: { $state }
contact-unheard = { $n_cat ->
    [zero] لا رسائل جديدة.
    [one] رسالة واحدة لم تُسمع بعد.
    [two] رسالتان لم تُسمعا بعد.
    [few] { $n } رسائل لم تُسمع بعد.
    [many] { $n } رسالة لم تُسمع بعد.
   *[other] { $n } رسالة لم تُسمع بعد.
}
contact-waiting = { $n_cat ->
    [zero] لا شيء ينتظر الإرسال.
    [one] رسالة واحدة تنتظر الإرسال على هذا الجهاز.
    [two] رسالتان تنتظران الإرسال على هذا الجهاز.
    [few] { $n } رسائل تنتظر الإرسال على هذا الجهاز.
    [many] { $n } رسالة تنتظر الإرسال على هذا الجهاز.
   *[other] { $n } رسالة تنتظر الإرسال على هذا الجهاز.
}
contact-shows-word = آخر كلمة من هناك متاحة لهذا الجهاز.
contact-settings = { $name }: الإشعارات { $receipts }، «آخر ظهور» { $seen }.
pairing-invited = لا جواب عن الرابط بعد
pairing-answered = أُجيب عن الرابط، ويمكن إرسال الرسائل، وتُقارن الأرقام بعد أن يلقى الجهاز الآخر المحطة
pairing-unconfirmed = متصلان، ولم تُقارن الأرقام بعد
pairing-confirmed = مؤكد
pairing-expired = انتهى الرابط بلا جواب
receipts-none = لا تُرسل
receipts-later = تُرسل لاحقًا مع أول شيء يُرسل
receipts-at-once = تُرسل فورًا
precision-off = مغلق
precision-six-hours = بدقة ست ساعات
precision-day = بدقة يوم

daemon-ready = الخدمة جاهزة، والأوامر الأخرى تمر بها الآن. للإيقاف: { $command }
daemon-stopped = توقفت الخدمة.
