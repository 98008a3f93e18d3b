"""Who comes in and for how long: second factor, lockout, limits of a session, the list of one's sign-ins.

The parts that others keep well are libraries: django-axes counts wrong passwords, django-otp knows what a verified
user is and computes codes. What is here joins them to our pages. Two tables are our own although django-otp has
both: its TOTP secrets and recovery codes stand readable in the database, and who reads those needs no second factor.
"""
