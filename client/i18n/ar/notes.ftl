# الإرسال والقوائم والاستماع والكلمات والحال واللقاءات.

mark-on-device = على هذا الجهاز
mark-on-the-way = في الطريق إلى المحطة، { $done } من { $all }
mark-at-relay = في المحطة
mark-delivered = على الجهاز الآخر
mark-heard = سُمعت
mark-unheard = لم تُسمع بعد
mark-arriving = تصل الآن، وصل منها { $here }
mark-arriving-of = تصل الآن، { $here } من { $all }
mark-expired = انتهى وقتها في المحطة ولم يصل إشعار باستلامها
mark-locked = لا يمكن فتحها بعد، لم يصل مفتاحها

wait-no-link = لا اتصال بمحطة، وستذهب عند أول اتصال.
wait-wrong-key = ردّ شيء ليس محطتهم ولم يُعطَ شيئًا. ستذهب عندما ترد محطتهم.
wait-not-here = لم تعد المحطة تعرف صندوق البريد هذا، والرسالة محفوظة هنا.
wait-mailbox-full = صندوق البريد ممتلئ، وستذهب حين يُؤخذ منه شيء.
wait-relay-full = المحطة ممتلئة، والرسالة محفوظة هنا حتى يتّسع المكان.
wait-busy = المحطة مشغولة وطلبت العودة لاحقًا.
wait-refused = رفضتها المحطة، وهي محفوظة هنا.

note-line-in = { $number }  من { $name }، { $when }، { $length }: { $mark }
note-line-out = { $number }  إلى { $name }، { $when }، { $length }: { $mark }
note-line-waits = { $line }. { $reason }
notes-missing = { $n_cat ->
    [zero] وصلت كل الرسائل من { $name }.
    [one] رسالة واحدة من { $name } لم تصل بعد.
    [two] رسالتان من { $name } لم تصلا بعد.
    [few] { $n } رسائل من { $name } لم تصل بعد.
    [many] { $n } رسالة من { $name } لم تصل بعد.
   *[other] { $n } رسالة من { $name } لم تصل بعد.
}
inbox-empty = لا جديد.
inbox-empty-all = لا رسائل بعد.
inbox-hint = للاستماع: { $command }

send-mark = الرسالة { $number } إلى { $name } ({ $length }، { $size }): { $mark }.
send-waits = الرسالة تنتظر ولم يضع منها شيء. { $reason }
send-hint-sync = ستذهب وحدها ما دام «{ $daemon }» يعمل، أو بالأمر: { $sync }

play-note = الرسالة { $number } من { $name }، { $when }، { $length }.
play-own-note = الرسالة { $number } إلى { $name }، { $when }، { $length }.
play-part = وصلت البداية فقط ({ $length })، والبقية في الطريق.
play-heard = سُمعت.
play-not-heard = توقف الاستماع قبل النهاية، فلا تُحسب مسموعة.
play-written = كُتبت في: { $path }
play-nothing-new = لا جديد للاستماع.
export-unheard = حفظ الملف لا يُحسب استماعًا.

word-written = { $n_cat ->
    [zero] لا أحد تُعرض عليه آخر كلمة.
    [one] آخر كلمة جاهزة لجهة اتصال واحدة.
    [two] آخر كلمة جاهزة لجهتَي اتصال.
    [few] آخر كلمة جاهزة لـ{ $n } جهات اتصال.
    [many] آخر كلمة جاهزة لـ{ $n } جهة اتصال.
   *[other] آخر كلمة جاهزة لـ{ $n } جهة اتصال.
}
word-nobody = لا أحد تُعرض عليه آخر كلمة: لا توجد جهة اتصال مؤكدة يُسمح لها برؤيتها.
word-stored-all = وهي الآن في المحطة.
word-stored-part = { $n } من { $all } في المحطة، والباقي ينتظر على هذا الجهاز.

status-relay = المحطة { $address }: آخر جواب { $ago }.
status-relay-never = المحطة { $address }: لم تُجب بعد.
status-contacts = { $n_cat ->
    [zero] لا جهات اتصال.
    [one] جهة اتصال واحدة.
    [two] جهتا اتصال.
    [few] { $n } جهات اتصال.
    [many] { $n } جهة اتصال.
   *[other] { $n } جهة اتصال.
}
status-unheard = { $n_cat ->
    [zero] لا رسائل جديدة.
    [one] رسالة واحدة لم تُسمع بعد.
    [two] رسالتان لم تُسمعا بعد.
    [few] { $n } رسائل لم تُسمع بعد.
    [many] { $n } رسالة لم تُسمع بعد.
   *[other] { $n } رسالة لم تُسمع بعد.
}
status-waiting = في انتظار الإرسال: { $n } ({ $size }).
status-waiting-nothing = لا شيء ينتظر الإرسال.
status-disk-full = قرص هذا الجهاز ممتلئ. أفرغ بعض المساحة: ما ينتظرك لا يُجلب قبل ذلك.
status-storage = المساحة المستعملة: { $used }. المتاح للرسائل المنتظرة: { $max }.
status-daemon = خدمة زاجل تعمل وتمسك الاتصال.
status-no-daemon = خدمة زاجل لا تعمل، وكل أمر يلقى المحطة بنفسه.
status-probing = كلّف البحث عن محطات لم تُجب { $size } خلال يوم.
status-probing-slowed = نفد حد اليوم لذلك وهو { $max }، فصار البحث مرة كل دقيقة.
status-link-gprs = يُعامَل الخط على أنه GPRS كما قلت.
status-link-edge = يُعامَل الخط على أنه EDGE كما قلت.
status-link-fast = يُعامَل الخط على أنه سريع كما قلت.
status-link-satellite = يُعامَل الخط على أنه خط قمر صناعي كما قلت.
status-clock-ahead = ساعة هذا الجهاز تسبق ساعة المحطة بـ{ $n } د. إحداهما خاطئة.
status-clock-behind = ساعة هذا الجهاز متأخرة عن ساعة المحطة بـ{ $n } د. إحداهما خاطئة.

sync-reached = { $n_cat ->
    [zero] لم تُجب أي محطة.
    [one] أجابت المحطة.
    [two] أجابت محطتان.
    [few] أجابت { $n } محطات.
    [many] أجابت { $n } محطة.
   *[other] أجابت { $n } محطة.
}
sync-received = { $n_cat ->
    [zero] لم تصل رسائل.
    [one] وصلت رسالة واحدة.
    [two] وصلت رسالتان.
    [few] وصلت { $n } رسائل.
    [many] وصلت { $n } رسالة.
   *[other] وصلت { $n } رسالة.
}
sync-stored = { $n_cat ->
    [zero] لا جديد في المحطة.
    [one] رسالة واحدة صارت في المحطة.
    [two] رسالتان صارتا في المحطة.
    [few] { $n } رسائل صارت في المحطة.
    [many] { $n } رسالة صارت في المحطة.
   *[other] { $n } رسالة صارت في المحطة.
}
sync-unfinished = انتهت المهلة قبل أن يصل كل شيء، وربما بقي المزيد.
sync-waiting = { $n_cat ->
    [zero] لا شيء ينتظر الإرسال.
    [one] رسالة واحدة تنتظر الإرسال.
    [two] رسالتان تنتظران الإرسال.
    [few] { $n } رسائل تنتظر الإرسال.
    [many] { $n } رسالة تنتظر الإرسال.
   *[other] { $n } رسالة تنتظر الإرسال.
}

progress-connecting = البحث عن المحطة
progress-connected = المحطة تجيب
progress-uploading = الإرسال، { $done } من { $all }
progress-downloading = الاستلام، { $done } حتى الآن
progress-playing = الاستماع
