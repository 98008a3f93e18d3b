from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ghl_sync', '0004_keep_webhooks'),
    ]

    operations = [
        migrations.AddField(
            model_name='pipeline',
            name='gone_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='remotefield',
            name='gone_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
