"""Whoever may do anything here today sees every trip; from now on that is a permission, and nobody loses it unasked."""

from django.db import migrations


def keep(apps, schema_editor):
    group, user = apps.get_model("auth", "Group"), apps.get_model("auth", "User")
    groups = list(group.objects.filter(permissions__isnull=False).distinct())
    users = list(user.objects.filter(user_permissions__isnull=False).distinct())
    if not (groups or users):
        return  # a new installation: its roles come with the permissions
    # Django makes content types and permissions only when all migrations are through.
    kind, _new = apps.get_model("contenttypes", "ContentType").objects.get_or_create(app_label="trips", model="trip")
    permission, _new = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=kind,
        codename="see_every_trip",
        defaults={"name": "Sees every trip and whoever is on it, not only the trips they lead"},
    )
    for holder in groups:
        holder.permissions.add(permission)
    for holder in users:
        holder.user_permissions.add(permission)


class Migration(migrations.Migration):

    dependencies = [
        ('trips', '0028_lead_trips'),
        ('auth', '0012_alter_user_first_name_max_length'),
        ('contenttypes', '0002_remove_content_type_name'),
    ]

    operations = [
        migrations.RunPython(keep, migrations.RunPython.noop),
    ]
