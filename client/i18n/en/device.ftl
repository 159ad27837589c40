# What protects the device itself: destroying it, the passphrase of duress.

panic-ask = This destroys everything zajil keeps here: keys, notes, contacts. Nobody can bring it back, not even you. Type “yes” to go on.
panic-done = The keys are destroyed. What this device kept can no longer be opened.
panic-nothing = Nothing was destroyed: zajil keeps nothing here. If you use another folder, name it with --home. Looked in: { $path }
panic-only-removed = The keys are removed but could not be overwritten: somebody with the disk might find them. Destroy the disk if you can.
panic-files-left = Some files could not be removed. They cannot be opened any more.
panic-in-use = Another zajil program was running. It still has keys in its memory: end it, or switch the device off.
panic-limits = What this cannot do: destroy copies made before, a key file kept elsewhere, or files you exported; make flash memory forget at once; hide that zajil was here. Relays keep sealed notes until their time is over. Contacts are not told: warn them by another way.
err-panic-not-asked = Nothing was destroyed: the question was not answered with “yes”.
rec-panic-not-asked = To destroy everything without a question: zajil panic --now
err-panic-failed = The keys could NOT be destroyed: the disk or folder cannot be written.
rec-panic-failed = Switch the device off, destroy its disk, or delete the folder by other means.

duress-set = The passphrase of duress is set. Whoever gives it destroys everything here at once, and is told that the device was never set up.
duress-limits = Know its limits. It cannot be undone. It does nothing to a copy made before, which still opens with the real passphrase. Somebody who watched you use zajil, or finds the program, may not believe the empty device. Delete the file you gave it in, and tell nobody that it is set.
duress-cleared = There is no passphrase of duress any more.
err-duress-same = The passphrase of duress is the one that opens this home.
rec-duress-same = Choose another one, not close to the first: a slip of the finger must not destroy everything.

disappear-default = The sound of heard notes { $span }.
disappear-contact = The sound of notes heard from { $name }, or heard by them, { $span }.
span-off = stays until you erase it
span-day = is erased one day after hearing
span-week = is erased 7 days after hearing
span-month = is erased 30 days after hearing
disappear-limits = This holds on this device only. Others keep what they heard as long as they chose, files you exported stay, and anyone can record a loudspeaker. The days count from one meeting with your relay to the next, so a wrong clock erases nothing too early.
quiet-on = Quiet mode is on: only notes that were not heard stay on this device. What was heard is erased with its line in the list.
quiet-off = Quiet mode is off.
note-line-erased = { $line }; its sound is erased
contact-disappear = The sound of notes exchanged with them { $span }.
err-erased = The sound of this note is erased, as chosen for heard notes.
rec-erased = Ask them to say it again. To keep later ones longer: zajil disappear --default 30d

daemon-locks = It forgets its keys after { $n } min without a command, and then meets no relay until it is unlocked.
lock-done = The daemon has forgotten its keys. It meets no relay until it is unlocked; notes wait there.
lock-next = To unlock it: { $command }
unlock-done = The daemon has its keys again.
err-device-locked = This device is locked: the daemon has forgotten its keys.
rec-device-locked = Give the passphrase: zajil unlock --passphrase-file FILE
err-nothing-to-lock = There is nothing to lock: this home opens with a key file that lies on the same device.
rec-nothing-to-lock = Only a home with a passphrase can be locked. It is chosen when a device is set up: zajil init --passphrase-file FILE
