# الأوقات والأحجام وكلمات صغيرة أخرى.

day-today = اليوم
day-yesterday = أمس
day-date = { $day } { $month }
day-date-year = { $day } { $month } { $year }
weekday-monday = يوم الإثنين
weekday-tuesday = يوم الثلاثاء
weekday-wednesday = يوم الأربعاء
weekday-thursday = يوم الخميس
weekday-friday = يوم الجمعة
weekday-saturday = يوم السبت
weekday-sunday = يوم الأحد
month-january = كانون الثاني/يناير
month-february = شباط/فبراير
month-march = آذار/مارس
month-april = نيسان/أبريل
month-may = أيار/مايو
month-june = حزيران/يونيو
month-july = تموز/يوليو
month-august = آب/أغسطس
month-september = أيلول/سبتمبر
month-october = تشرين الأول/أكتوبر
month-november = تشرين الثاني/نوفمبر
month-december = كانون الأول/ديسمبر
moment = { $day } الساعة { $time }
range-one-day = { $day } بين الساعة { $from } والساعة { $to }
range-two-days = بين { $from } و{ $to }

ago-now = الآن
ago-minutes = { $n_cat ->
    [zero] الآن
    [one] قبل دقيقة
    [two] قبل دقيقتين
    [few] قبل { $n } دقائق
    [many] قبل { $n } دقيقة
   *[other] قبل { $n } دقيقة
}
ago-hours = { $n_cat ->
    [zero] الآن
    [one] قبل ساعة
    [two] قبل ساعتين
    [few] قبل { $n } ساعات
    [many] قبل { $n } ساعة
   *[other] قبل { $n } ساعة
}
ago-days = { $n_cat ->
    [zero] اليوم
    [one] قبل يوم
    [two] قبل يومين
    [few] قبل { $n } أيام
    [many] قبل { $n } يومًا
   *[other] قبل { $n } يوم
}

length = { $length }
length-unknown = المدة غير معروفة بعد
size-bytes = { $n_cat ->
    [zero] لا شيء
    [one] بايت واحد
    [two] بايتان
    [few] { $n } بايتات
    [many] { $n } بايتًا
   *[other] { $n } بايت
}
size-kilobytes = { $n } ك.ب
size-megabytes = { $n } م.ب
size-gigabytes = { $n } ج.ب

# أسباب النظام لرفض ملف.
file-not-found = غير موجود
file-no-permission = لا إذن بذلك
file-read-only = القرص للقراءة فقط
file-disk-full = القرص ممتلئ
file-is-folder = هذا مجلّد
file-other = { $detail }
