"""What people decide about certificates: refunds, blocks, retirement. One way for HTTP and the command line."""
