# Times, sizes and other small words.

day-today = today
day-yesterday = yesterday
day-date = { $day } { $month }
day-date-year = { $day } { $month } { $year }
weekday-monday = Monday
weekday-tuesday = Tuesday
weekday-wednesday = Wednesday
weekday-thursday = Thursday
weekday-friday = Friday
weekday-saturday = Saturday
weekday-sunday = Sunday
month-january = January
month-february = February
month-march = March
month-april = April
month-may = May
month-june = June
month-july = July
month-august = August
month-september = September
month-october = October
month-november = November
month-december = December
moment = { $day } { $time }
range-one-day = { $day } between { $from } and { $to }
range-two-days = between { $from } and { $to }

ago-now = just now
ago-minutes = { $n } min ago
ago-hours = { $n } h ago
ago-days = { $n_cat ->
    [one] { $n } day ago
   *[other] { $n } days ago
}

length = { $length }
length-unknown = length not known yet
size-bytes = { $n_cat ->
    [one] { $n } byte
   *[other] { $n } bytes
}
size-kilobytes = { $n } kB
size-megabytes = { $n } MB
size-gigabytes = { $n } GB

# Reasons of the system for refusing a file.
file-not-found = it is not there
file-no-permission = no permission
file-read-only = the disk is read-only
file-disk-full = the disk is full
file-is-folder = it is a folder
file-other = { $detail }
