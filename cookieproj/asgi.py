from django.core.asgi import get_asgi_application

from .profiles import use_profile

use_profile()
application = get_asgi_application()
