/* The verbs of the command, one function each: argv[0] is the verb, the result an enum mr_exit. */
#ifndef MR_APP_CMD_H
#define MR_APP_CMD_H

int mr_cmd_run(int argc, char **argv);
int mr_cmd_sim(int argc, char **argv);
int mr_cmd_check(int argc, char **argv);
int mr_cmd_init(int argc, char **argv);
int mr_cmd_local(int argc, char **argv);

#endif
