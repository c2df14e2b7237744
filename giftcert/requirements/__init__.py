"""What the service needs of its servers, as data: compared by ``giftcert setup --check`` and by each process."""
