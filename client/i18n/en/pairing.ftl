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
contact-out-of-hands = { $name }’s phone was out of their hands on { $day }.
contact-renewing = New keys with them are wanted, and not in use yet.
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

hands-nobody = There is nobody to tell yet: no contact has answered.
hands-told = { $n_cat ->
    [one] One contact is told that this phone was out of your hands, and new keys with them are made.
   *[other] { $n } contacts are told that this phone was out of your hands, and new keys with each of them are made.
}
hands-until = It leaves with the next link. Until their phone has answered, whoever copied this one may still read along.
hands-next = To see with whom new keys are not in use yet: { $command }

daemon-ready = Ready. Other commands now go through this one. To stop: { $command }
daemon-stopped = The daemon has stopped.
