# Help of the command line. Keys are made from the names of commands and their arguments.

help-heading-usage = Usage:
help-heading-commands = Commands
help-heading-arguments = Arguments
help-heading-options = Options

help-about = Voice notes between people whose links drop. Nobody in between can hear them.
help-option-home = Where this device keeps everything [else ZAJIL_HOME, else the data folder of this account]
help-option-json = Answer with one JSON object on standard output
help-option-lang = Language [else from LC_ALL, LC_MESSAGES or LANG]
help-option-quiet = Only what was asked for: no progress, no hints
help-option-passphrase-file = File whose first line is the passphrase of this home [else ZAJIL_PASSPHRASE_FILE; without it a key file in the home]
help-option-link-class = What the link carries, if you know it. A daemon keeps to it until it is told otherwise
help-option-help = Show this help
help-option-version = Show the version

help-exit-codes = Exit codes:
    {"  "}0  done; send and word: stored at a relay, or as far as --wait says
    {"  "}1  failed
    {"  "}2  the command was not understood
    {"  "}3  not so far yet: it waits on this device, or has not come as far as --wait says; nothing is lost
    {"  "}4  no such contact or note, not paired, not confirmed, nothing arrived yet
    {"  "}5  the relay refused
    {"  "}6  the recording cannot be used
    {"  "}7  this device's home: in use, read-only, full, wrong passphrase, not set up, locked
    {"  "}8  the relay cannot be reached: no route, no answer, wrong key
    {"  "}9  the link, code or digits: used, over, mistyped, forged, different

help-init = Set up this device with a relay link
help-init-relay = The link that the relay's operator gave you (zajil-relay:…)
help-contact = People to exchange notes with
help-contact-add = Make a link for somebody, or take up one of theirs
help-contact-add-name = What you call them; known on this device only
help-contact-add-link = Their link (zajil:…); without it a new link is made for them
help-contact-add-scan = Read their link from a picture of its QR code
help-contact-add-in-person = The link was scanned from their own screen: no digits need to be compared
help-contact-add-qr = Write the QR code of the link or return code to a file
help-contact-verify = Compare digits or scan the return code, to be sure that nobody is in between
help-contact-verify-name = Whom
help-contact-verify-digits = The twelve digits they read to you, in any script
help-contact-verify-return = The return code that their screen shows (zajil-back:…)
help-contact-verify-scan = Read the return code from a picture of its QR code
help-contact-list = List all contacts
help-contact-set = Choose what a contact is told
help-contact-set-name = Whom
help-contact-set-receipts = Whether they learn that their notes arrived and were heard: none, later, at-once
help-contact-set-seen = How exactly a relay may tell them when your last word came: off, 6h, day
help-send = Send a recording
help-send-name = To whom
help-send-file = WAV, FLAC, MP3, M4A, Ogg, WebM; “-” reads standard input
help-send-profile = emergency, thumbnail, saver, default or good-link: from 6 to 16 kbit/s
help-send-wait = How far to wait: device, stored, delivered or heard [else stored]
help-send-timeout = How long to wait at most [else 30; 600 for delivered and heard]
help-send-lifetime-days = How long it may wait at relays, 1 to 90 days [else 30]
help-inbox = List notes that have not been heard
help-inbox-all = Also notes heard, and notes sent
help-play = Listen to a note
help-play-note = Its number, or “next” for the oldest one not heard
help-play-to = Write it to a file instead; counts as heard when it is written whole
help-export = Write a note to a file without counting it as heard
help-export-number = Its number
help-export-file = WAV, or the Opus packets as they travelled
help-seen = When were they last seen?
help-seen-name = Who
help-seen-offline = Answer from what this device holds, without asking the relay
help-seen-timeout = How long to try to ask the relay [else 15]
help-word = Leave a last word that your contacts can ask for
help-word-text = In your words, up to 144 bytes
help-word-state = none, well, moving, arrived or silent
help-word-to = For this contact only; may be repeated [else all confirmed ones that may see it]
help-word-no-time = Do not tell the minute in which it is written
help-word-timeout = How long to try to reach the relay [else 30]
help-out-of-hands = This phone was out of my hands: new keys with everybody, and every contact is told the day
help-out-of-hands-days-ago = How many days ago it was back, 0 to 365 [else today]
help-status = How this device stands with its relays
help-sync = Meet the relays: send what waits, fetch what came
help-sync-timeout = How long at most [else 60]
help-daemon = Hold the link until stopped; other commands go through it
help-daemon-stop = Stop the daemon of this home
help-panic = Destroy everything this device keeps, at once and for good. Needs no passphrase; copies made before stay
help-panic-now = Do not ask first
help-duress = A second passphrase that destroys everything when it is given (off unless you set it)
help-duress-set = Set it, or change it; --passphrase-file gives the real one
help-duress-set-duress-file = File whose first line is the passphrase of duress
help-duress-clear = Take it away; --passphrase-file gives the real one
help-disappear = How long the sound of heard notes stays on this device: off, 1d, 7d, 30d [7d]
help-disappear-name = Whom it is about
help-disappear-span = off keeps it; 1d, 7d, 30d after hearing; default for as everybody. Without it the choice is shown
help-disappear-default = For everybody without a choice of their own
help-quiet = Keep nothing on this device but notes that were not heard
help-quiet-state = on or off; without it the choice is shown
help-daemon-lock-after = Forget the keys after so many minutes without a command; 0 for only when told [240 with a passphrase, never without]
help-lock = Have the daemon forget its keys until the passphrase is given
help-unlock = Give a locked daemon the passphrase, with --passphrase-file
