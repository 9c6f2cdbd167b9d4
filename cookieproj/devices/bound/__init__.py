"""Device-bound sessions: a copied session cookie is worth minutes.

The browser makes a pair of keys that does not leave the device, and proves that it has it each time
a short-lived cookie, the bound cookie, is renewed (W3C, Device Bound Session Credentials):

1. A sign-in puts a ``Binding`` with an id into the session, and the response offers it in a header.
2. The browser POSTs its public key to ``register``. The key goes into the session, and the response
   sets the bound cookie.
3. ``BoundSessionsMiddleware`` opens a bound session only for requests with the bound cookie.
4. When the bound cookie has expired, the browser proves the key to ``renew`` before it sends any
   other request, and gets the next one.

``headers`` alone knows the names and forms of the draft.
"""
