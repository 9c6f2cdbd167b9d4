from django.core.wsgi import get_wsgi_application

from .profiles import use_profile

use_profile()
application = get_wsgi_application()
