from django.db import migrations, models

import trips.expressions


class Migration(migrations.Migration):
    dependencies = [("trips", "0025_keep_files_with_their_form")]

    operations = [
        migrations.AddIndex(
            model_name="trip",
            index=models.Index(trips.expressions.last_day(), name="trip_last_day"),
        ),
    ]
