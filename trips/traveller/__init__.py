"""What travellers see: their own form, behind a link, without logging in. No part of the staff's pages."""
