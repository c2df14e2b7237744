"""The neighbours of the gift-certificate service, as small asyncio programs.

Each knows the service only by its public contracts, HTTP and the four topics, and imports nothing of it.

=========================  ==========================================================================
``internet_store``         channel ``im``: reserves over HTTP and places orders; Payments pays them
``pos``                    channel ``pos``: tills that reserve, order and pay at once
``shop``                   of either channel: takes certificates, with number and CVC from CRM's letter
``orders``                 writes ``All_SalesOrder``; alone it sells goods at a steady rate
``payments``               writes ``All_Payments``; alone it pays the orders that it sees
``crm``                    reads the stream, fetches the CVC and writes to the client
``bi``                     reads the stream, checks it and counts revenue, liability and discount
``support``                decides refunds that wait for a person, blocks and unblocks
``demo``                   plays every scenario with all of them and judges what it saw
=========================  ==========================================================================

``python -m simulators.<name> --help`` says what each takes. They follow the stack that runs here, whatever its ports
(``giftcert addresses``), except where the environment says otherwise:

- ``SIMULATORS_API_URL`` and ``SIMULATORS_KAFKA_BOOTSTRAP_SERVERS``: another service;
- ``GIFTCERT_TOPIC_ORDERS``, ``_PAYMENTS``, ``_STREAM`` where the topics have other names;
- ``SIMULATORS_TOKEN_CHANNEL``, ``_CRM``, ``_SUPPORT``, ``_OPS``, else ``giftcert token --role R`` is asked.
"""
