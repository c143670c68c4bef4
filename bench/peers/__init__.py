"""bin/bench peers: our app beside two XMPP servers on the same cores and the same MariaDB."""
