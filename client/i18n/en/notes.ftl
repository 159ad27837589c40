# Sending, listing, playing, words, status, meetings.

mark-on-device = on this device
mark-on-the-way = on the way to the relay, { $done } of { $all }
mark-at-relay = at the relay
mark-delivered = on their device
mark-heard = heard
mark-unheard = not heard yet
mark-arriving = arriving, { $here } so far
mark-arriving-of = arriving, { $here } of { $all }
mark-expired = its time at the relay is over, and no receipt came
mark-locked = cannot be opened yet; its key has not come

wait-no-link = No relay was reached; it goes as soon as one is.
wait-wrong-key = Something answered that is not their relay, and got nothing. It goes as soon as their relay answers.
wait-not-here = Their relay no longer knows their mailbox; it is kept here.
wait-mailbox-full = Their mailbox is full; it goes when they have fetched something.
wait-relay-full = The relay is full; it is kept here until there is room.
wait-busy = The relay is busy and asked to come later.
wait-refused = The relay refused it; it is kept here.

note-line-in = { $number }  from { $name }, { $when }, { $length }: { $mark }
note-line-out = { $number }  to { $name }, { $when }, { $length }: { $mark }
note-line-waits = { $line }. { $reason }
notes-missing = { $n_cat ->
    [one] One note from { $name } has not arrived yet.
   *[other] { $n } notes from { $name } have not arrived yet.
}
inbox-empty = Nothing new.
inbox-empty-all = No notes yet.
inbox-hint = To listen: { $command }

send-mark = Note { $number } for { $name } ({ $length }, { $size }): { $mark }.
send-waits = It waits, and nothing of it is lost. { $reason }
send-hint-sync = It goes by itself while “{ $daemon }” runs, or with: { $sync }

play-note = Note { $number } from { $name }, { $when }, { $length }.
play-own-note = Note { $number } to { $name }, { $when }, { $length }.
play-part = Only the beginning has arrived ({ $length }); the rest follows.
play-heard = Heard.
play-not-heard = Stopped before the end, so it does not count as heard.
play-written = Written to: { $path }
play-nothing-new = Nothing new to play.
export-unheard = Exporting does not count as hearing.

word-written = { $n_cat ->
    [one] Your last word is ready for one contact.
   *[other] Your last word is ready for { $n } contacts.
}
word-nobody = There is nobody to show a last word to: no confirmed contact may see it.
word-stored-all = It is at the relay.
word-stored-part = { $n } of { $all } are at the relay; the others wait on this device.

status-relay = Relay { $address }: last answered { $ago }.
status-relay-never = Relay { $address }: has not answered yet.
status-contacts = { $n_cat ->
    [zero] No contacts yet.
    [one] One contact.
   *[other] { $n } contacts.
}
status-unheard = { $n_cat ->
    [zero] No new notes.
    [one] One note not heard yet.
   *[other] { $n } notes not heard yet.
}
status-waiting = Waiting to be sent: { $n } ({ $size }).
status-waiting-nothing = Nothing waits to be sent.
status-disk-full = The disk of this device is full. Free some space: what waits for you is not fetched before.
status-storage = Space used: { $used }. Room for notes that wait: { $max }.
status-daemon = A daemon holds the link.
status-no-daemon = No daemon runs; each command meets the relay by itself.
status-probing = Looking for relays that did not answer has cost { $size } within a day.
status-probing-slowed = A day's { $max } for that are used up: it is done once a minute now.
status-link-gprs = The link is taken for GPRS, as you said.
status-link-edge = The link is taken for EDGE, as you said.
status-link-fast = The link is taken for a fast one, as you said.
status-link-satellite = The link is taken for a satellite's, as you said.
status-clock-ahead = This device's clock is { $n } min ahead of the relay's. One of them is wrong.
status-clock-behind = This device's clock is { $n } min behind the relay's. One of them is wrong.

sync-reached = { $n_cat ->
    [one] The relay answered.
   *[other] { $n } relays answered.
}
sync-received = { $n_cat ->
    [zero] No notes came.
    [one] One note came.
   *[other] { $n } notes came.
}
sync-stored = { $n_cat ->
    [one] One note is now at the relay.
   *[other] { $n } notes are now at the relay.
}
sync-unfinished = The time was up before everything had come: there may be more.
sync-waiting = { $n_cat ->
    [zero] Nothing waits to be sent.
    [one] One note waits to be sent.
   *[other] { $n } notes wait to be sent.
}

progress-connecting = looking for the relay
progress-connected = the relay answers
progress-uploading = sending, { $done } of { $all }
progress-downloading = receiving, { $done } so far
progress-playing = playing
