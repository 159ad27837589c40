# Setting up, links, codes, digits, contacts, the daemon.

init-done = This device is set up.
init-home = Everything is kept in: { $path }
init-relay = Relay: { $address }
init-next = Next, make a link for somebody: { $command }

invite-made = Give this link to { $name } and to nobody else. It works once:
invite-end = It ends { $when }.
invite-scan = Or let { $name } scan it:
invite-next = When { $name } has answered, compare the digits: { $command }

accept-done = You can send notes to { $name } now.
accept-return = If you are together, let { $name } scan this code or type it:
accept-next = Otherwise compare the digits by telephone: { $command }

qr-written = The QR code is in: { $path }

digits-read = Read these digits to { $name } and listen to theirs:
digits-next = If they are the same: { $command }
digits-confirmed = { $name } is confirmed already.
verify-done = { $name } is confirmed.

contact-none = No contacts yet. To add one: { $command }
contact-line = { $name }: { $state }
contact-unheard = { $n_cat ->
    [one] One note not heard yet.
   *[other] { $n } notes not heard yet.
}
contact-waiting = { $n_cat ->
    [one] One note for them waits on this device.
   *[other] { $n } notes for them wait on this device.
}
contact-shows-word = They share a last word with this device.
contact-settings = { $name }: receipts { $receipts }; “last seen” { $seen }.
pairing-invited = has not answered the link yet
pairing-answered = link answered; notes can be sent, the digits can be compared when they have come by
pairing-unconfirmed = connected; the digits have not been compared yet
pairing-confirmed = confirmed
pairing-expired = the link ended without an answer
receipts-none = none
receipts-later = later, with the next thing sent
receipts-at-once = at once
precision-off = off
precision-six-hours = within six hours
precision-day = within a day

daemon-ready = Ready. Other commands now go through this one. To stop: { $command }
daemon-stopped = The daemon has stopped.
