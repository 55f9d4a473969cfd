"""Verifies a DSSE envelope with securesystemslib; none of the product's code has a part in it.

usage: verify-dsse.py <envelope.json> <public key PEM> <key id>
Prints the payload; ends with 1 when the signature does not hold.
"""

import json
import sys

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

envelope_file, key_file, key_id = sys.argv[1:]
with open(envelope_file, encoding="utf-8") as file:
    envelope = Envelope.from_dict(json.load(file))
with open(key_file, encoding="utf-8") as file:
    pem = file.read()
key = SSlibKey(key_id, "ecdsa", "ecdsa-sha2-nistp256", {"public": pem})
try:
    envelope.verify([key], 1)
except VerificationError as error:
    print(f"refused: {error}", file=sys.stderr)
    sys.exit(1)
sys.stdout.write(envelope.payload.decode())
