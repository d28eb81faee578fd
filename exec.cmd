@rem What cmd.exe lacks and npm scripts need elsewhere: a shell that waited would keep signals from Node.
@%*
