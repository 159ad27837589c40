# مساعدة سطر الأوامر. المفاتيح من أسماء الأوامر وخياراتها.

help-heading-usage = الاستعمال:
help-heading-commands = الأوامر
help-heading-arguments = المعطيات
help-heading-options = الخيارات

help-about = رسائل صوتية بين أناس تنقطع خطوطهم، لا يسمعها أحد في الطريق.
help-option-home = المجلّد الذي يحفظ فيه هذا الجهاز كل شيء [وإلا ZAJIL_HOME، وإلا مجلّد بيانات هذا الحساب]
help-option-json = الجواب كائن JSON واحد
help-option-lang = اللغة [وإلا من LC_ALL أو LC_MESSAGES أو LANG]
help-option-quiet = المطلوب فقط، بلا تقدم ولا نصائح
help-option-passphrase-file = ملف سطره الأول عبارة مرور هذا المجلّد [وإلا ZAJIL_PASSPHRASE_FILE، وبدونها ملف مفتاح في المجلّد]
help-option-link-class = ما يحمله الخط إن كنت تعرفه. وتلتزم به الخدمة إلى أن يقال لها غيره
help-option-help = اعرض هذه المساعدة
help-option-version = اعرض الإصدار

help-exit-codes = رموز الخروج:
    {"  "}0  تم؛ في send وword: محفوظ في محطة، أو إلى الحد الذي يعيّنه ‎--wait‎
    {"  "}1  فشل
    {"  "}2  لم يُفهم الأمر
    {"  "}3  لم يبلغ ذلك بعد: ينتظر على هذا الجهاز، أو لم يبلغ حد ‎--wait‎؛ لم يضع شيء
    {"  "}4  لا جهة اتصال أو رسالة كهذه، أو لا ربط بعد، أو غير مؤكدة، أو لم يصل شيء بعد
    {"  "}5  رفضت المحطة
    {"  "}6  التسجيل لا يصلح
    {"  "}7  مجلّد هذا الجهاز: مستعمل أو للقراءة فقط أو ممتلئ أو عبارة المرور خاطئة أو غير مُعدّ أو مقفل
    {"  "}8  لا وصول إلى المحطة: لا طريق أو لا جواب أو مفتاح خاطئ
    {"  "}9  الرابط أو الرمز أو الأرقام: مستعمل أو منتهٍ أو فيه خطأ أو مزوّر أو مختلف

help-init = أعدّ هذا الجهاز برابط محطة
help-init-relay = الرابط الذي أعطاك إياه مشغّل المحطة (zajil-relay:…)
help-contact = من تتبادل معهم الرسائل
help-contact-add = اصنع رابطًا لأحد، أو خذ رابطًا منه
help-contact-add-name = الاسم الذي تختاره له، ولا يُعرف إلا على هذا الجهاز
help-contact-add-link = رابطه (zajil:…)؛ وبدونه يُصنع رابط جديد له
help-contact-add-scan = اقرأ رابطه من صورة رمز QR
help-contact-add-in-person = مُسح الرابط من شاشته مباشرة، فلا حاجة إلى مقارنة الأرقام
help-contact-add-qr = اكتب رمز QR للرابط أو لرمز الرد في ملف
help-contact-verify = قارن الأرقام أو امسح رمز الرد، لتتأكد أن لا أحد في الوسط
help-contact-verify-name = مع من
help-contact-verify-digits = الأرقام الاثنا عشر التي سمعتها، بأي خط
help-contact-verify-return = رمز الرد الظاهر على شاشته (zajil-back:…)
help-contact-verify-scan = اقرأ رمز الرد من صورة رمز QR
help-contact-list = اعرض جهات الاتصال كلها
help-contact-set = اختر ما يُقال لجهة اتصال
help-contact-set-name = لمن
help-contact-set-receipts = هل يُعلم بوصول رسائله وسماعها: none أو later أو at-once
help-contact-set-seen = بأي دقة تخبره محطة متى جاءت آخر كلمة منك: off أو 6h أو day
help-send = أرسل تسجيلًا
help-send-name = إلى من
help-send-file = ملف WAV أو FLAC أو MP3 أو M4A أو Ogg أو WebM؛ والعلامة «-» تقرأ الدخل القياسي
help-send-profile = emergency أو thumbnail أو saver أو default أو good-link: من 6 إلى 16 كيلوبت في الثانية
help-send-wait = إلى أين يُنتظر: device أو stored أو delivered أو heard [وإلا stored]
help-send-timeout = أطول انتظار بالثواني [وإلا 30، و600 مع delivered وheard]
help-send-lifetime-days = كم تبقى في المحطات، من 1 إلى 90 يومًا [وإلا 30]
help-inbox = اعرض الرسائل التي لم تُسمع
help-inbox-all = مع ما سُمع وما أُرسل
help-play = استمع إلى رسالة
help-play-note = رقمها، أو next لأقدم رسالة لم تُسمع
help-play-to = اكتبها في ملف بدل ذلك؛ وتُحسب مسموعة متى كُتبت كاملة
help-export = اكتب رسالة في ملف دون أن تُحسب مسموعة
help-export-number = رقمها
help-export-file = بصيغة WAV، أو بحزم Opus كما وصلت
help-seen = متى كان آخر خبر؟
help-seen-name = ممن
help-seen-offline = أجب مما على هذا الجهاز دون سؤال المحطة
help-seen-timeout = كم ثانية يُحاوَل سؤال المحطة [وإلا 15]
help-word = اترك آخر كلمة تسأل عنها جهات اتصالك
help-word-text = بكلماتك، حتى 144 بايت
help-word-state = none أو well أو moving أو arrived أو silent
help-word-to = لجهة الاتصال هذه فقط، ويمكن تكراره [وإلا لكل مؤكد يُسمح له برؤيتها]
help-word-no-time = لا تذكر دقيقة كتابتها
help-word-timeout = كم ثانية يُحاوَل الوصول إلى المحطة [وإلا 30]
help-out-of-hands = كان هذا الهاتف خارج يدي: مفاتيح جديدة مع الجميع، ويُخبَر كل منهم باليوم
help-out-of-hands-days-ago = قبل كم يوم عاد، من 0 إلى 365 [وإلا اليوم]
help-status = حال هذا الجهاز مع محطاته
help-sync = القَ المحطات: أرسل ما ينتظر واجلب ما وصل
help-sync-timeout = أطول مدة بالثواني [وإلا 60]
help-daemon = أمسك الاتصال حتى يُطلب التوقف؛ والأوامر الأخرى تمر به
help-daemon-stop = أوقف خدمة هذا المجلّد
help-panic = أتلف كل ما يحفظه هذا الجهاز في الحال وبلا رجوع. لا يحتاج إلى عبارة مرور، ولا يمسّ النسخ المصنوعة من قبل
help-panic-now = لا تسأل أولًا
help-duress = عبارة مرور ثانية تُتلف كل شيء عند إدخالها (غير مفعّلة ما لم تعيّنها)
help-duress-set = عيّنها أو غيّرها؛ والعبارة الحقيقية بالخيار ‎--passphrase-file‎
help-duress-set-duress-file = ملف سطره الأول عبارة الإكراه
help-duress-clear = ألغها؛ والعبارة الحقيقية بالخيار ‎--passphrase-file‎
help-disappear = كم يبقى صوت الرسائل المسموعة على هذا الجهاز: off أو 1d أو 7d أو 30d ‏[7d]
help-disappear-name = مع من
help-disappear-span = ‏off تُبقيه؛ و1d و7d و30d بعد السماع؛ وdefault كالجميع. وبدونها يُعرض الاختيار
help-disappear-default = لكل من ليس له اختيار خاص
help-quiet = لا تُبقِ على هذا الجهاز إلا ما لم يُسمع
help-quiet-state = ‏on أو off؛ وبدونها يُعرض الاختيار
help-daemon-lock-after = انسَ المفاتيح بعد هذا العدد من الدقائق بلا أوامر؛ و0 لئلا تُنسى إلا بأمر [240 مع عبارة مرور، ولا تُنسى بدونها]
help-lock = اجعل الخدمة تنسى مفاتيحها إلى أن تُعطى عبارة المرور
help-unlock = أعط خدمة مقفلة عبارة المرور، بالخيار ‎--passphrase-file‎
