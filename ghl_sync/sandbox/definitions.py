"""The account a fresh sandbox has: pipelines, stages and custom fields, all invented or public knowledge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

TRIP_PIPELINE = "TripBooking"
PASSENGER_PIPELINE = "Passenger"
PIPELINES: dict[str, tuple[str, ...]] = {
    TRIP_PIPELINE: ("FormSubmit", "TripFinalized", "TravelersAdded", "TripScheduled", "TripComplete"),
    PASSENGER_PIPELINE: (
        "AddedToTrip",
        "DetailsSubmitted",
        "TripDetailsSent",
        "TripReady",
        "TripInProgress",
        "TripComplete",
    ),
    "Newsletter": ("Interested", "Called", "Closed"),
}

COUNTRIES = tuple(
    """United States of America|Afghanistan|Albania|Algeria|Andorra|Angola|Antigua and Barbuda|Argentina|Armenia
Australia|Austria|Azerbaijan|Bahamas|Bahrain|Bangladesh|Barbados|Belarus|Belgium|Belize|Benin|Bhutan|Bolivia
Bosnia and Herzegovina|Botswana|Brazil|Brunei|Bulgaria|Burkina Faso|Burundi|Cambodia|Cameroon|Canada|Cape Verde
Central African Republic|Chad|Chile|China|Colombia|Comoros|Congo|Costa Rica|Croatia|Cuba|Cyprus|Czechia|Denmark
Djibouti|Dominica|Dominican Republic|Ecuador|Egypt|El Salvador|Equatorial Guinea|Eritrea|Estonia|Eswatini|Ethiopia
Fiji|Finland|France|Gabon|Gambia|Georgia|Germany|Ghana|Greece|Grenada|Guatemala|Guinea|Guinea-Bissau|Guyana|Haiti
Honduras|Hungary|Iceland|India|Indonesia|Iran|Iraq|Ireland|Israel|Italy|Jamaica|Japan|Jordan|Kazakhstan|Kenya
Kiribati|Kosovo|Kuwait|Kyrgyzstan|Laos|Latvia|Lebanon|Lesotho|Liberia|Libya|Liechtenstein|Lithuania|Luxembourg
Madagascar|Malawi|Malaysia|Maldives|Mali|Malta|Marshall Islands|Mauritania|Mauritius|Mexico|Micronesia|Moldova
Monaco|Mongolia|Montenegro|Morocco|Mozambique|Myanmar|Namibia|Nauru|Nepal|Netherlands|New Zealand|Nicaragua|Niger
Nigeria|North Korea|North Macedonia|Norway|Oman|Pakistan|Palau|Panama|Papua New Guinea|Paraguay|Peru|Philippines
Poland|Portugal|Puerto Rico|Qatar|Romania|Russia|Rwanda|Saint Kitts and Nevis|Saint Lucia|Samoa|San Marino
Saudi Arabia|Senegal|Serbia|Seychelles|Sierra Leone|Singapore|Slovakia|Slovenia|Solomon Islands|Somalia
South Africa|South Korea|South Sudan|Spain|Sri Lanka|Sudan|Suriname|Sweden|Switzerland|Syria|Taiwan|Tajikistan
Tanzania|Thailand|Timor-Leste|Togo|Tonga|Trinidad and Tobago|Tunisia|Turkey|Turkmenistan|Tuvalu|Uganda|Ukraine
United Arab Emirates|United Kingdom|Uruguay|Uzbekistan|Vanuatu|Vatican City|Venezuela|Vietnam|Yemen|Zambia
Zimbabwe|Burma|Ivory Coast|United States""".replace("\n", "|").split("|")
)
# 51 as in life, with two misspellings, as lists typed by hand have them.
STATES = tuple(
    """Alabama|Alaska|Arizona|Arkansas|California|Colorado|Conneticut|Delaware|District of Columbia|Florida|Georgia
Hawaii|Idaho|Illinois|Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusets|Michigan|Minnesota
Mississippi|Missouri|Montana|Nebraska|Nevada|New Hampshire|New Jersey|New Mexico|New York|North Carolina|North Dakota
Ohio|Oklahoma|Oregon|Pennsylvania|Rhode Island|South Carolina|South Dakota|Tennessee|Texas|Utah|Vermont|Virginia
Washington|West Virginia|Wisconsin|Wyoming""".replace("\n", "|").split("|")
)
# The general licences of 31 CFR part 515 by their public names.
LICENCES = (
    "None",
    "Family visits (515.561)",
    "Official government business (515.562)",
    "Journalistic activity (515.563)",
    "Professional research and meetings (515.564)",
    "Educational activities (515.565)",
    "People-to-people travel (515.565b)",
    "Religious activities (515.566)",
    "Public performances and competitions (515.567)",
    "Support for the Cuban people (515.574)",
    "Humanitarian projects (515.575)",
    "Private foundations and research institutes (515.576)",
    "Information materials (515.545)",
    "Authorized export transactions (515.533)",
)


@dataclass(frozen=True, slots=True)
class DefaultField:
    """A custom field as the account starts with it; `key` without its model's prefix."""

    key: str
    name: str
    data_type: str
    options: Sequence[str] = ()
    custom: bool = False
    model: str = "opportunity"


def _all(data_type: str, *rows: tuple[str, str]) -> tuple[DefaultField, ...]:
    return tuple(DefaultField(key, name, data_type) for key, name in rows)


FIELDS: tuple[DefaultField, ...] = (
    *_all(
        "TEXT",
        ("user_roomate", "Room-mate wish"),
        ("passport_number", "Passport no."),
        ("primary_phy", "Physician"),
        ("physician_phone", "Physician's phone"),
        ("contact1_ulast_name", "Emergency last name"),
        ("contact1_ufirst_name", "Emergency first name"),
        ("contact1_urelationship", "Emergency relationship"),
        ("contact1_umailing_address", "Emergency address"),
        ("contact1_ucity", "Emergency city"),
        ("contact1_uzip", "Emergency ZIP"),
        ("contact1_uemail", "Emergency e-mail"),
        ("contact1_uphone", "Emergency phone"),
        ("contact1_umob_number", "Emergency mobile"),
        ("passenger_id", "Passenger number (old system)"),
        ("passenger_first_name", "Traveller first name"),
        ("passenger_last_name", "Traveller last name"),
    ),
    *_all(
        "LARGE_TEXT",
        ("health_state", "General health"),
        ("health_medical_info", "Medical notes"),
        ("medication_list", "Medications"),
        ("vendor_terms", "Terms of the vendor"),
        ("lodging_notes", "Notes on lodging"),
        ("trip_description", "Description"),
        ("internal_trip_details", "Internal notes"),
    ),
    *_all(
        "DATE",
        ("passport_expire", "Passport valid until"),
        ("form_submitted_date", "Form sent on"),
        ("arrival_date", "Arrival"),
        ("return_date", "Return"),
        ("deposit_date", "Deposit due"),
        ("final_payment", "Final payment due"),
        ("start_date", "Start"),
        ("end_date", "End"),
    ),
    *_all(
        "NUMERICAL",
        ("passenger_number", "Traveller no."),
        ("trip_id", "Trip number"),
        ("nights_total", "Nights"),
        ("max_passengers", "Places"),
        ("passenger_count", "Travellers booked"),
    ),
    *_all("MONETORY", ("trip_standard_level_pricing", "Price per person")),
    *_all("SIGNATURE", ("passenger_signature", "Signature")),
    DefaultField("passport_file", "Passport scan", "FILE_UPLOAD"),
    DefaultField("reservation", "Reservation paper", "FILE_UPLOAD", (".pdf",)),
    DefaultField("mou", "Memorandum", "FILE_UPLOAD", (".pdf",)),
    DefaultField("affidavit", "Affidavit paper", "FILE_UPLOAD", (".pdf",)),
    DefaultField("travel_category_license", "Licence", "SINGLE_OPTIONS", LICENCES),
    DefaultField("room_occupancy", "Occupancy", "SINGLE_OPTIONS", ("Single Occupancy", "Double Occupancy")),
    DefaultField("birth_country", "Country of birth", "SINGLE_OPTIONS", COUNTRIES),
    DefaultField("passport_country", "Country of the passport", "SINGLE_OPTIONS", COUNTRIES),
    DefaultField("contact1_ustate", "Emergency state", "SINGLE_OPTIONS", STATES),
    DefaultField("trip_name", "Name of the trip", "SINGLE_OPTIONS"),
    DefaultField("trip_vendor", "Vendor", "SINGLE_OPTIONS", ("Harbour Tours",)),
    DefaultField(
        "travel_category",
        "Category",
        "SINGLE_OPTIONS",
        ("People To People", "Support For The Cuban People", "Other"),
    ),
    DefaultField("travel_business_used", "Sold through", "SINGLE_OPTIONS", ("Own desk", "Partner desk")),
    DefaultField("lodging", "Lodging kind", "RADIO", ("Hotel", "Private house"), custom=True),
    DefaultField("is_child", "Is a child", "CHECKBOX", ("True", "False")),
)
# What `ghl_setup --apply` creates; there only when the sandbox is asked for a provisioned account.
OWN_FIELDS: tuple[DefaultField, ...] = (
    DefaultField("tripbuilder_key", "TripBuilder key", "TEXT"),
    DefaultField("tripbuilder_trip", "TripBuilder trip", "TEXT"),
    DefaultField("tripbuilder_key", "TripBuilder key", "TEXT", model="contact"),
)
