"""The wording that a new installation starts with: samples to be rewritten, and to be checked by a lawyer.

They claim no legal effect. Each is marked as unchecked until somebody ticks that a lawyer has read it.
"""

from __future__ import annotations

from trips.enums import DocumentKind

RESERVATION = """\
Dear {{traveller_name}},

we confirm your place on **{{trip_name}}**.

## The trip
- Destination: {{destination}}
- Departure: {{departure}}
- Last day: {{end}} ({{nights}} nights)
- Lodging: {{lodging}}
- Room: {{occupancy?}}

## The price
- Price per person: {{price}}
- Paid so far: {{paid}}
- Still to pay: {{balance}}
- Final payment due: {{final_payment_due}}

Please check that your name is written as in your passport, and tell us of any mistake at once.

Yours sincerely,
{{organiser}}
"""

MOU = """\
This memorandum of understanding is made on {{today}} between the organiser of the trip and **{{traveller_name}}**, \
born on {{date_of_birth}}.

## 1. The trip
The trip {{trip_name}} to {{destination}} begins on {{departure}} and ends on {{end}}. \
The price per person is {{price}}.

## 2. What the traveller agrees to
- To follow the full-time schedule of activities of the trip.
- To hold a passport that is valid for as long as the trip needs it.
- To pay the price by {{final_payment_due}}.
- To keep records of the trip for as long as the law asks for it.

## 3. What the organiser agrees to
- To arrange lodging, transfers and activities as described in the programme.
- To tell the traveller without delay of changes that matter.

## 4. Signatures
Guardian, where the traveller is a minor: {{guardian_name?}}

[sign: {{traveller_name}}]

[sign: Organiser]
"""

AFFIDAVIT = """\
I, **{{traveller_name}}**, born on {{date_of_birth}} in {{birth_country}}, holder of passport {{passport_number}} \
issued by {{passport_country}} and valid until {{passport_expires}}, declare:

- I travel to {{destination}} from {{departure}} to {{end}} on the trip {{trip_name}}.
- I travel under this general licence: **{{licence}}**.
- I will take part in its full-time schedule of activities, and will not have free time in excess of it.
- I will keep records of my travel and show them when I am asked to.

What I have stated here is true.

[sign: {{traveller_name}}]
"""

SAMPLES = {
    DocumentKind.RESERVATION: ("Confirmation of reservation", RESERVATION),
    DocumentKind.MOU: ("Memorandum of understanding", MOU),
    DocumentKind.AFFIDAVIT: ("Traveller’s affidavit", AFFIDAVIT),
}
